"""TCP and TLS of a host: whether a port accepts connections, and its certificate; standard library only."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from opsverify.errors import Inconclusive, Unreachable
from opsverify.language.message import say
from opsverify.probes.proxy import tls_context
from opsverify.probes.record import Record, discard
from opsverify.probes.text import one_line


@dataclass(frozen=True, slots=True)
class Certificate:
    """The verified certificate of a server; `remaining_s` counts from the query."""

    subject: str
    issuer: str
    not_after: dt.datetime
    remaining_s: float


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
    try:
        with (
            socket.create_connection((address or host, port), timeout=timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown: dict[str, Any] = dict(secured.getpeercert() or {})
    except ssl.SSLCertVerificationError as error:
        message = say(
            "TLS of {host}:{port}: certificate refused ({verify_message}); renew it, or set ca_file",
            host=host,
            port=port,
            verify_message=error.verify_message,
        )
        record(f"TLS {host}:{port}", message)
        raise Unreachable(message) from error
    except OSError as error:
        message = say(
            "TLS of {host}:{port}: no connection ({error}); check that the service is up, and its port",
            host=host,
            port=port,
            error=one_line(error),
        )
        record(f"TLS {host}:{port}", message)
        raise Unreachable(message, by_clock=isinstance(error, TimeoutError)) from error
    not_after = dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), dt.UTC)
    remaining = (not_after - dt.datetime.now(dt.UTC)).total_seconds()
    found = Certificate(_name(shown["subject"]), _name(shown["issuer"]), not_after, remaining)
    record(f"TLS {host}:{port}", json.dumps(asdict(found), default=str, indent=2), "json")
    return found


def _name(parts: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    return ", ".join(f"{key}={value}" for part in parts for key, value in part)


PortAnswer = Literal["open", "refused", "no answer"]
"""Of a port: it takes connections, its host refuses them, or nothing came back, which proves neither."""


def port_answer(host: str, port: int, timeout_s: float = 2.0, record: Record = discard) -> PortAnswer:
    """What `host`:`port` answers to a connection within `timeout_s` seconds; nothing is sent.

    Only a refusal comes from the host: without an answer a firewall drops, the network is down, the host is off, or
    its name is not known.
    """
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except ConnectionRefusedError as error:
        record(f"TCP {host}:{port}", f"refused: {one_line(error)}")
        return "refused"
    except OSError as error:
        record(f"TCP {host}:{port}", f"no answer: {one_line(error)}")
        return "no answer"
    record(f"TCP {host}:{port}", "open")
    return "open"
