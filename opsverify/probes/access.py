"""Access to an HTTP part of the target: headers, certificates and proxy, with the secrets filled in."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.probes.proxy import NO_PROXY, tls_context
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.config.connection import Connection
    from opsverify.config.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Access:
    """How one part is reached; `headers` hold its credentials and are sent to the host of its URL only."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: str | None = None
    """None: as the probe was opened."""

    @property
    def files(self) -> tuple[str | None, str | None, str | None]:
        """The files that a TLS connection is made with: connections with other files are not shared."""
        return (self.ca_file, self.client_cert, self.client_key)


ANONYMOUS = Access()


def access_to(config: Connection, secrets: Secrets, proxy: str = NO_PROXY) -> Access:
    """The access that a section of the target describes; `proxy` is the target's own."""
    headers = {name: value if isinstance(value, str) else secrets[value] for name, value in config.headers.items()}
    if config.bearer is not None:
        headers["Authorization"] = f"Bearer {secrets[config.bearer]}"
    if config.basic is not None:
        pair = f"{config.basic.user}:{secrets[config.basic.password]}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"
    return Access(headers, config.ca_file, config.client_cert, config.client_key, config.proxy or proxy)


def bearer_access(bearer: str | None) -> Access:
    """The access with a bearer token alone."""
    return ANONYMOUS if bearer is None else Access({"Authorization": f"Bearer {bearer}"})


def same_host(one: str, other: str) -> bool:
    """Whether two URLs name one server: scheme, host and port."""
    first, second = (urlsplit(url) for url in (one, other))
    ports = [parts.port or (443 if parts.scheme == "https" else 80) for parts in (first, second)]
    return (first.scheme, first.hostname, ports[0]) == (second.scheme, second.hostname, ports[1])


def verification(url: str, access: Access) -> ssl.SSLContext | Literal[True]:
    """What a connection to `url` is verified with. Raises Inconclusive for a file that cannot be used."""
    if not url.startswith("https:"):
        # Trusts no authority, and saves loading them (0.1 s): plain http verifies nothing.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if access.ca_file is None and access.client_cert is None:
        return True
    try:
        context = tls_context(access.ca_file)
    except OSError as error:
        raise Inconclusive(
            say(
                "ca_file {ca_file} cannot be used ({error}); name a PEM file",
                ca_file=access.ca_file,
                error=one_line(error),
            )
        ) from error
    if access.client_cert is not None:
        try:
            # An empty password: a key that needs one is refused instead of asked for on the terminal.
            context.load_cert_chain(access.client_cert, access.client_key, password="")
        except (OSError, ValueError) as error:
            files = " with ".join(name for name in (access.client_cert, access.client_key) if name)
            raise Inconclusive(
                say(
                    "client_cert {files} cannot be used ({error}); name PEM files, the key without a passphrase",
                    files=files,
                    error=one_line(error),
                )
            ) from error
    return context
