"""Way from this machine to a component: where it is missing, no answer says nothing of the component."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from opsverify.errors import Peer
from opsverify.language.message import say
from opsverify.probes.tcp import port_answer
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.language.message import Message

_PORTS: Final = {"https": 443, "socks5": 1080, "socks5h": 1080}
_HTTP: Final = 80


def peers_of(url: str, proxy: str | None = None) -> tuple[Peer, ...]:
    """Where a request for `url` connects to; nothing for a URL that names no host."""
    try:
        parts = urlsplit(proxy or url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, _HTTP)
    except ValueError:
        return ()
    return (Peer(host, port, proxy=proxy is not None),) if host else ()


def missing_way(peers: Sequence[Peer]) -> Message | None:
    """What this machine lacks to reach any of `peers`, or None: then it is they that give no answer.

    A name that cannot be looked up (EAI_AGAIN; one that does not exist is none of these), no route to any of its
    addresses, or a proxy that takes no connection. No packet is sent but to a proxy and to the resolver.
    """
    lacking = [_missing(peer) for peer in peers]
    return next(iter(lacking), None) if all(lacking) else None


def _missing(peer: Peer) -> Message | None:
    try:
        found = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        if error.errno != socket.EAI_AGAIN:
            return None
        return say(
            "this machine cannot look up {host} ({error}); check its network and DNS",
            host=peer.host,
            error=one_line(error),
        )
    except (OSError, ValueError):
        return None
    unrouted = [_no_route(family, address) for family, _, _, _, address in found]
    if unrouted and all(unrouted):
        return say(
            "this machine has no route to {host} ({error}); check its network",
            host=peer.host,
            error=one_line(unrouted[0] or ""),
        )
    if peer.proxy and port_answer(peer.host, peer.port) != "open":
        return say(
            "the proxy {host}:{port} takes no connection; check it, or proxy in the target",
            host=peer.host,
            port=peer.port,
        )
    return None


def _no_route(family: socket.AddressFamily, address: tuple[Any, ...]) -> OSError | None:
    """Why there is no route to an address. Connecting a datagram socket looks for one, and sends nothing."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.connect(address)
    except OSError as error:
        return error
    return None
