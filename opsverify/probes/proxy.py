"""Proxy of a request: none, the one that the target names, or the environment's where the target says so."""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from opsverify.probes.environment import plain_process
from opsverify.probes.text import is_loopback

NO_PROXY: Final = "none"
ENVIRONMENT: Final = "environment"


def proxy_of(url: str, setting: str) -> str | None:
    """The URL of the proxy for `url`, or None; this machine itself is never asked through one.

    `setting` is the target's `proxy`: `none`, `environment`, or the URL of a proxy.
    """
    if setting == NO_PROXY or is_loopback(url):
        return None
    if setting != ENVIRONMENT:
        return setting
    parts = urlsplit(url)
    known = getproxies_environment()
    if proxy_bypass_environment(parts.netloc.rpartition("@")[2], known):
        return None
    found = known.get(parts.scheme) or known.get("all")
    return found if found is None or "://" in found else f"http://{found}"


def shown(proxy: str) -> str:
    """A proxy as evidence names it: without its login."""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """A context that trusts `ca_file`, or this machine's authorities; `SSL_CERT_FILE` changes neither.

    Raises OSError for a file that cannot be used.
    """
    with plain_process():
        return ssl.create_default_context(cafile=ca_file)
