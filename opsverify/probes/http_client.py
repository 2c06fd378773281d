"""HTTP clients of the probe: pools of connections, each with the cookies that answers over it have set.

Requests are handed to httpx's transport. What its `Client` does before and after (redirects, logins by challenge,
hooks) a probe does not want, and it costs a sixth of an exchange.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from opsverify.probes.access import Access, verification
from opsverify.probes.http_transport import Deadline, DeadlineTransport
from opsverify.probes.proxy import NO_PROXY, proxy_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_SENT: Final = (
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),  # a short answer may unpack to a very long one
    ("Connection", "keep-alive"),
    ("User-Agent", f"python-httpx/{httpx.__version__}"),
)
"""Headers of every request that gives none of the same name."""
_NO_LOGIN: Final = (b"", b":")


@dataclass(slots=True)
class Client:
    """One pool of connections, and the cookies that answers over it have set."""

    transport: DeadlineTransport
    timeout: Mapping[str, float | None]
    proxy: str | None
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    def request(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        *,
        json: Any,  # noqa: ANN401 - any JSON value
        content: bytes | None,
    ) -> httpx.Request:
        """A request, with the login that its URL holds. Raises InvalidURL, TypeError, ValueError for what is none."""
        if url.is_relative_url:
            raise httpx.InvalidURL("it names no host, or not how to reach it: write http://HOST/ or https://HOST/")
        given = {name.lower() for name in headers}
        request = httpx.Request(
            method,
            url,
            headers=[*(sent for sent in _SENT if sent[0].lower() not in given), *headers.items()],
            json=json,
            content=content,
            cookies=self.cookies,
            extensions={"timeout": self.timeout},
        )
        if url.userinfo not in _NO_LOGIN:
            request = next(httpx.BasicAuth(url.username, url.password).sync_auth_flow(request))
        return request

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; of the answer, status and headers have been read. Raises as httpx's transport does."""
        response = self.transport.handle_request(request)
        if "set-cookie" in response.headers:  # httpx looks for cookies with as much work as for all headers
            response.request = request
            self.cookies.extract_cookies(response)
        return response


@dataclass(slots=True)
class Clients:
    """Clients, shared by all views of one probe: one for each way to verify and to find a proxy.

    One for each name, too, that is requested at an address of its own: a pool distinguishes connections by their
    address, not by the name for which their certificate was verified.
    """

    timeout_s: float
    proxy: str = NO_PROXY
    deadline: Deadline = field(default_factory=Deadline)
    open: dict[tuple[bool, str | None, tuple[str | None, ...], str | None], Client] = field(default_factory=dict)

    def get(self, url: str, access: Access, name: str | None = None) -> Client:
        """The client for `url`. Raises Inconclusive for files that no connection can be verified with."""
        proxy = proxy_of(url, access.proxy or self.proxy)
        key = (url.startswith("https:"), proxy, access.files, name)
        client = self.open.get(key)
        if client is None:
            transport = DeadlineTransport(self.deadline, verification(url, access), proxy)
            self.open[key] = client = Client(transport, httpx.Timeout(self.timeout_s).as_dict(), proxy)
        return client

    def close(self) -> None:
        """Close every connection; the clients are made anew when asked for again."""
        while self.open:
            self.open.popitem()[1].transport.close()
