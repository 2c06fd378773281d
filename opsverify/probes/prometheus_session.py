"""Session of the Prometheus probe: requests' session with the target's login, and the latest answer of each thread."""

from __future__ import annotations

import gc
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from opsverify.language.message import say
from opsverify.probes.access import same_host, verification
from opsverify.probes.prometheus_body import read_bounded
from opsverify.probes.proxy import NO_PROXY, proxy_of
from opsverify.probes.proxy import shown as shown_proxy
from opsverify.probes.text import one_line
from opsverify.probes.way import peers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opsverify.config.model import PrometheusConfig
    from opsverify.probes.access import Access

PARALLEL: Final = 32
"""Queries that are sent at once."""
_LONG: Final = 4
"""Long answers that are in memory at once: the others wait in their connections."""
_OK: Final = 200


@contextmanager
def garbage_kept() -> Iterator[None]:
    """No search for garbage: nothing of many answers is any before they are read, and it takes half of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class Answer(threading.local):
    """The latest answer in this thread, kept by a hook because the client library drops warnings and messages."""

    response: requests.Response | None = None
    long = False
    """Whether it is awaited as a long one: read when there is room."""
    has_room = False
    _body: Any = None
    _parsed = False

    def clear(self) -> None:
        """Forget it before the next request."""
        self.response, self._body, self._parsed = None, None, False

    def keep(self, response: requests.Response) -> None:
        """Keep an answer; the library reads the body that is parsed here, once."""
        self.response, self._body, self._parsed = response, None, False
        if response.status_code == _OK:
            response.json = lambda **_: self.body  # type: ignore[method-assign]

    @property
    def content(self) -> bytes:
        """The body as it came."""
        return self.response.content if self.response is not None else b""

    @property
    def body(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body as JSON, parsed at first use; None where it is not JSON."""
        if not self._parsed and self.response is not None:
            self._parsed = True
            try:
                self._body = json.loads(self.response.content)
            except (ValueError, RecursionError):  # the other: nested deeper than Python reads
                self._body = None
        return self._body


class PrometheusSession:
    """One pool of connections, no retries, no redirects, nothing from the environment."""

    def __init__(self, config: PrometheusConfig, access: Access) -> None:
        self.config = config
        self.answer = Answer()
        self._parsing = threading.Lock()
        self._room = threading.Semaphore(_LONG)
        self.requests = requests.Session()
        self.requests.trust_env = False  # no proxy, .netrc or authority but the target's
        self.requests.max_redirects = 0
        self._access = access
        self._verified = False
        proxy = proxy_of(config.url, access.proxy or NO_PROXY)
        if proxy is not None:
            self.requests.proxies = {"http": proxy, "https": proxy}
        self.peers = peers_of(config.url, proxy)
        self.via = {} if proxy is None else {"proxy": shown_proxy(proxy)}
        # As auth, not as headers: only the host that the target names sees them, and no .netrc replaces them.
        self.requests.auth = _authorization(config.url, access)
        self.requests.verify = access.ca_file or True
        if access.client_cert is not None:
            pair = (access.client_cert, access.client_key)
            self.requests.cert = pair if access.client_key is not None else access.client_cert  # type: ignore[assignment]
        self.requests.hooks["response"].append(self._keep)

    @property
    def retry(self) -> Retry:
        """No retries: the library's own wait seconds, and hide a flapping server."""
        return Retry(total=0, read=False)

    def mount(self) -> None:
        """Use as many connections as there are queries at once; after the library has mounted its own adapter."""
        self.requests.mount(self.config.url, HTTPAdapter(max_retries=self.retry, pool_maxsize=PARALLEL))

    @contextmanager
    def long_answer(self) -> Iterator[None]:
        """An answer that is read when there is room for it, and forgotten at the end."""
        self.answer.long = True
        try:
            yield
        finally:
            self.answer.clear()
            if self.answer.has_room:
                self._room.release()
            self.answer.long = self.answer.has_room = False

    @contextmanager
    def parsing(self) -> Iterator[None]:
        """One long answer at a time becomes objects, which are many times as large as its text."""
        with self._parsing, garbage_kept():
            yield

    def require_files(self) -> None:
        """Raise Inconclusive for a certificate file that cannot be used; requests would name none, or ask for a key."""
        if not self._verified:
            verification(self.config.url, self._access)
            self._verified = True

    def _keep(self, response: requests.Response, *_: object, **__: object) -> None:
        self.answer.response = response
        if self.answer.long and not self.answer.has_room:
            self._room.acquire()
            self.answer.has_room = True
        read_bounded(response, self.config.timeout_s)
        self.answer.keep(response)


def redirected(error: requests.TooManyRedirects) -> str:
    """Where an answer pointed to, in words; the login page of a proxy, most often."""
    response = error.response
    where = response.headers.get("location", "") if response is not None else ""
    target = one_line(where.partition("?")[0].rpartition("@")[2]) or "another address"
    return say(
        "redirected to {target}, which is not followed (a login page?); check the login, or name that URL",
        target=target,
    )


def _authorization(url: str, access: Access) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if same_host(request.url or "", url):
            request.headers.update(access.headers)
        return request

    return authorize
