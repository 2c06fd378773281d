"""TLS of a host: every certificate of its chain, as a connection shows them.

Over https the connection is verified. Of PostgreSQL and Redis only what the server sends is read, before anything is
said to it: their clients verify by rules of their own (`sslmode`), and do so in every other check.
"""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import struct
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from opsverify.errors import Inconclusive, Peer, Unreachable
from opsverify.language.message import join, say
from opsverify.probes.proxy import tls_context
from opsverify.probes.record import Record, discard
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from opsverify.language.message import Message

DER: Final = 2
"""The form in which the `ssl` module hands a certificate on: `_ssl.ENCODING_DER`."""
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One certificate of a chain; `remaining_s` counts from the query.

    `sent_only`: the server sends it, and the verified path does not need it. Other clients may.
    """

    role: Literal["leaf", "intermediate", "root"]
    subject: str
    issuer: str
    not_after: dt.datetime
    remaining_s: float
    sent_only: bool = False

    @property
    def text(self) -> Message:
        """Which certificate it is, and when it ends."""
        at = self.not_after
        if self.role == "leaf":
            return say("certificate {subject}, ends {at:%Y-%m-%d %H:%MZ}", subject=self.subject, at=at)
        if self.role == "root":
            return say("root {subject}, ends {at:%Y-%m-%d %H:%MZ}", subject=self.subject, at=at)
        return say("intermediate {subject}, ends {at:%Y-%m-%d %H:%MZ}", subject=self.subject, at=at)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The verified certificate of a server, and its whole chain: leaf, intermediates, root, others that are sent."""

    subject: str
    issuer: str
    not_after: dt.datetime
    remaining_s: float
    chain: tuple[ChainLink, ...] = ()


def certificate(
    url: str,
    ca_file: str | None = None,
    timeout_s: float = 5.0,
    record: Record = discard,
    *,
    address: str | None = None,
) -> Certificate | None:
    """Return the certificate behind an https URL, connecting to `address` where one is given; None for plain http.

    Raises Unreachable without a verified connection: refused, timed out, expired, of another
    name, of an unknown authority.
    """
    parts = urlsplit(url)
    if parts.scheme != "https":
        return None
    host, port = parts.hostname or "", parts.port or 443
    try:
        context = tls_context(ca_file)
    except OSError as error:
        raise Inconclusive(
            say("ca_file {ca_file} cannot be used ({error}); name a PEM file", ca_file=ca_file, error=one_line(error))
        ) from error
    peer = (address or host, port)
    try:
        with (
            socket.create_connection(peer, timeout=timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            verified, sent = _der_of(secured, "get_verified_chain"), _der_of(secured, "get_unverified_chain")
    except ssl.SSLCertVerificationError as error:
        message = say(
            "TLS of {host}:{port}: certificate refused ({verify_message}{ended}); renew it, or set ca_file",
            host=host,
            port=port,
            verify_message=error.verify_message,
            ended=_ended(peer, host, timeout_s),
        )
        record(f"TLS {host}:{port}", message)
        raise Unreachable(message) from error
    except OSError as error:
        raise _no_connection(host, port, error, record, Peer(*peer)) from error
    return _found(host, port, _links(verified, sent), record)


def sent_certificate(
    host: str, port: int, record: Record = discard, *, postgres: bool = False, timeout_s: float = 5.0
) -> Certificate:
    """The certificate that a server sends to anybody, and its chain; `postgres`: TLS is asked for first.

    Not verified. Raises Unreachable where no TLS connection is to be had.
    """
    context = _unverified()
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as plain:
            if postgres:
                # https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
                plain.sendall(_SSL_REQUEST)
                if plain.recv(1) != b"S":
                    raise Unreachable(
                        say(
                            "TLS of {host}:{port}: PostgreSQL offers none; set ssl = on there, or sslmode of this "
                            "database in the target",
                            host=host,
                            port=port,
                        )
                    )
            with context.wrap_socket(plain, server_hostname=host) as secured:
                chain = _links([], _der_of(secured, "get_unverified_chain"))
    except OSError as error:
        raise _no_connection(host, port, error, record, Peer(host, port)) from error
    return _found(host, port, chain, record)


def _no_connection(host: str, port: int, error: OSError, record: Record, peer: Peer) -> Unreachable:
    message = say(
        "TLS of {host}:{port}: no connection ({error}); check that the service is up, and its port",
        host=host,
        port=port,
        error=one_line(error),
    )
    record(f"TLS {host}:{port}", message)
    return Unreachable(message, by_clock=isinstance(error, TimeoutError), peers=[peer])


def _found(host: str, port: int, chain: tuple[ChainLink, ...], record: Record) -> Certificate:
    leaf = chain[0]
    found = Certificate(leaf.subject, leaf.issuer, leaf.not_after, leaf.remaining_s, chain)
    record(f"TLS {host}:{port}", json.dumps(asdict(found), default=str, indent=2), "json")
    return found


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _der_of(secured: ssl.SSLSocket, chain: str) -> list[bytes]:
    """A chain of the connection, leaf first: of the socket from Python 3.13 on, of what is below it before."""
    public = getattr(secured, chain, None)
    if public is not None:
        return [bytes(each) for each in public()]
    below: Any = secured._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - the same call, not public before 3.13
    return [each.public_bytes(DER) for each in getattr(below, chain)() or ()]


def _links(verified: list[bytes], sent: list[bytes]) -> tuple[ChainLink, ...]:
    from cryptography import x509  # noqa: PLC0415 - 30 ms, only for https

    now = dt.datetime.now(dt.UTC)
    links = []
    for number, der in enumerate(dict.fromkeys((*verified, *sent))):
        read = x509.load_der_x509_certificate(der)
        subject, issuer = read.subject.rfc4514_string(), read.issuer.rfc4514_string()
        ends = read.not_valid_after_utc
        role: Literal["leaf", "intermediate", "root"] = (
            "leaf" if number == 0 else "root" if subject == issuer else "intermediate"
        )
        remaining_s = (ends - now).total_seconds()
        links.append(ChainLink(role, subject, issuer, ends, remaining_s, bool(verified) and der not in verified))
    return tuple(links)


def _ended(peer: tuple[str, int], host: str, timeout_s: float) -> Message:
    """Which certificates of a refused chain have ended, as a person needs it; nothing where that cannot be read.

    Nothing is sent over this connection: it is not verified, and only shows what the server hands to anybody.
    """
    with (
        suppress(OSError, ValueError),
        socket.create_connection(peer, timeout=timeout_s) as plain,
        _unverified().wrap_socket(plain, server_hostname=host) as secured,
    ):
        over = [link.text for link in _links([], _der_of(secured, "get_unverified_chain")) if link.remaining_s < 0]
        return join("", (": " if over else "", join("; ", over)))
    return join("", ())
