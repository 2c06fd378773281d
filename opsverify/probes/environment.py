"""Environment variables that would redirect a connection: none acts unless the target says so.

A measurement is of what the target names. `PGHOSTADDR`, `HTTP_PROXY` or `SSL_CERT_FILE` of whoever starts a run
would make it one of something else, and nothing in the verdict would show that.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REDIRECTS: Final = re.compile(
    r"PG\w*|REDIS\w*|KRB5\w*|\w+_PROXY|NETRC|SSL_CERT_(FILE|DIR)|SSLKEYLOGFILE|OPENSSL_CONF|(REQUESTS|CURL)_CA_BUNDLE"
    r"|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS",
    re.IGNORECASE,
)
"""Variables that client libraries read: hosts, logins, proxies, certificate authorities, resolver settings."""
_LOCK: Final = threading.RLock()


def redirects(name: str) -> bool:
    """Whether a client library would let the variable `name` change where, as whom or how it connects."""
    return _REDIRECTS.fullmatch(name) is not None


def plain_environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child process that must connect to nothing but what its arguments name."""
    return {name: value for name, value in (os.environ if given is None else given).items() if not redirects(name)}


@contextmanager
def plain_process() -> Iterator[None]:
    """Keep those variables from this process inside the block: C libraries read them at any time.

    One block at a time: threads wait for each other.
    """
    with _LOCK:
        hidden = {name: value for name, value in os.environ.items() if redirects(name)}
        for name in hidden:
            del os.environ[name]
        try:
            yield
        finally:
            os.environ.update(hidden)
