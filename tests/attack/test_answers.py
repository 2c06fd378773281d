"""Answers without end, and answers that send a request elsewhere: cut, inconclusive, not followed."""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.config.model import McpServer, PrometheusConfig
from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.access import bearer_access
from opsverify.probes.http import Http
from opsverify.probes.http_transport import MOST_BODY
from opsverify.probes.mcp import Mcp
from opsverify.probes.prometheus import Prometheus
from tests.probes.probe_servers import fake_server

if TYPE_CHECKING:
    from tests.probes.probe_servers import FakeServer


def _endless(part: bytes, header: str = "", *, in_headers: bool = False) -> Any:  # noqa: ANN401 - a route
    def answer(handler: Any) -> None:  # noqa: ANN401 - http.server's
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + header.encode())
            if not in_headers:
                handler.wfile.write(b"Connection: close\r\n\r\n")
            for _ in range(20_000):
                handler.wfile.write(part)
        except OSError:
            handler.close_connection = True

    return answer


def _dripping(head: bytes) -> Any:  # noqa: ANN401 - a route
    def answer(handler: Any) -> None:  # noqa: ANN401 - http.server's
        try:
            handler.wfile.write(head)
            for _ in range(600):
                handler.wfile.write(b"x")
                threading.Event().wait(0.05)
        except OSError:
            handler.close_connection = True

    return answer


def test_a_long_answer_is_cut(fake: FakeServer) -> None:
    """A body of any length costs one MiB, and is inconclusive."""
    fake.routes["/long"] = _endless(b"x" * 65536)
    with Http() as http:
        with pytest.raises(Inconclusive, match="longer than 1,048,576 bytes"):
            http.get(f"{fake.url}/long")
        fake.answer("/whole", "x" * MOST_BODY)
        assert len(http.get(f"{fake.url}/whole").text) == MOST_BODY
        with pytest.raises(Inconclusive, match="longer than 10 bytes"):
            http.get(f"{fake.url}/whole", max_body=10)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_packed_answer_is_cut(fake: FakeServer, encoding: str) -> None:
    """A bomb of 1 MB that unpacks to 1 GB is inconclusive, and none is asked for."""
    bomb = gzip.compress(bytes(64 << 20))

    def answer(handler: Any) -> None:  # noqa: ANN401 - http.server's
        handler.send_response(200)
        handler.send_header("Content-Encoding", encoding)
        handler.send_header("Content-Length", str(len(bomb)))
        handler.end_headers()
        handler.wfile.write(bomb)

    fake.routes["/bomb"] = answer
    with Http() as http, pytest.raises(Inconclusive, match=r"longer than|no valid"):
        http.get(f"{fake.url}/bomb")
    assert fake.seen[0][2]["Accept-Encoding"] == "identity"


def test_an_encoding_that_was_not_asked_for(fake: FakeServer) -> None:
    """An answer in another encoding is inconclusive, by name; a small packed one is read."""
    fake.routes["/br"] = (200, {"Content-Encoding": "br"}, "{}")
    small = gzip.compress(b'{"status": "ok"}')

    def packed(handler: Any) -> None:  # noqa: ANN401 - http.server's
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(small)))
        handler.end_headers()
        handler.wfile.write(small)

    fake.routes["/small"] = packed
    with Http() as http:
        with pytest.raises(Inconclusive, match="encoded as 'br'"):
            http.get(f"{fake.url}/br")
        assert http.get(f"{fake.url}/small").field("status") == "ok"


@pytest.mark.parametrize("client", ["http", "prometheus", "mcp"])
def test_headers_without_end(fake: FakeServer, client: str) -> None:
    """Headers without end are no answer, in every client."""
    for path in ("/health", "/api/v1/query", "/mcp"):
        fake.routes[path] = _endless(b"X-More: yes\r\n", in_headers=True)
    with pytest.raises(Inconclusive):
        _ask(client, fake.url, 5.0)


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b""],
    ids=["headers", "body", "status line"],
)
def test_a_slow_drip_ends_at_the_deadline(fake: FakeServer, head: bytes) -> None:
    """A byte now and then never makes an answer: the whole request has one deadline."""
    fake.routes["/health"] = _dripping(head)
    with pytest.raises(Unreachable, match=r"no answer"):
        _ask("http", fake.url, 0.3)


def _ask(client: str, url: str, timeout_s: float) -> None:
    if client == "http":
        with Http(timeout_s=timeout_s) as http:
            http.get(f"{url}/health", bearer="planted-bearer")
    elif client == "prometheus":
        with Prometheus(PrometheusConfig(url=url, timeout_s=timeout_s), bearer_access("planted-bearer")) as prometheus:
            prometheus.instant("up")
    else:
        Mcp(McpServer(url=f"{url}/mcp", timeout_s=timeout_s), bearer_access("planted-bearer")).describe()


@pytest.mark.parametrize("client", ["http", "prometheus", "mcp"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(fake: FakeServer, client: str, status: int) -> None:
    """Neither request nor credentials reach the host that an answer names."""
    with fake_server() as other:
        for path in ("/health", "/api/v1/query", "/mcp"):
            other.answer(path, {"status": "success", "data": {"resultType": "vector", "result": []}})
            fake.routes[path] = (status, {"Location": f"{other.url}{path}"}, "")
        if client == "http":
            _ask(client, fake.url, 5.0)
        else:
            with pytest.raises(Inconclusive):
                _ask(client, fake.url, 5.0)
        assert other.seen == []
