"""The HTTP probe against a real server in a thread."""

from __future__ import annotations

import threading
from base64 import b64encode
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.http import Http
from opsverify.probes.local_timer import LocalTimer
from tests.probes.probe_servers import FakeServer, Recorder, free_port, tls_server

if TYPE_CHECKING:
    from tests.probes.probe_servers import CertificateOf


def test_reply(fake: FakeServer, recorder: Recorder) -> None:
    """An answer of any status is returned whole, with fields found by path, and is recorded."""
    fake.answer("/health", {"status": "ok", "parts": {"redis": "down"}}, status=503)
    with Http(record=recorder) as http:
        watch = LocalTimer()
        reply = http.get(f"{fake.url}/health")
    assert 0 < reply.elapsed_s <= watch.elapsed_s
    assert (reply.status, reply.field("status"), reply.field("parts.redis")) == (503, "ok", "down")
    assert reply.headers["content-type"] == "application/json"
    name, body, kind = recorder.kept[0]
    assert (name, kind) == (f"GET {fake.url}/health", "text")
    assert "HTTP 503" in body
    assert '"redis": "down"' in body


def test_request_carries_json_and_bearer_but_records_no_credentials(fake: FakeServer, recorder: Recorder) -> None:
    """Body and bearer reach the server; the record masks every header that carries credentials."""
    fake.routes["/v1"] = (201, {"Set-Cookie": "session=planted-cookie"}, "{}")
    with Http(record=recorder) as http:
        http.post(
            f"{fake.url}/v1",
            json={"line": "L03"},
            bearer="planted-bearer",
            headers={"X-Api-Key": "planted-key"},
        )
    method, _, headers, body = fake.seen[0]
    assert (method, headers["Authorization"], body) == ("POST", "Bearer planted-bearer", '{"line":"L03"}')
    assert "planted" not in recorder.text
    assert '{"line":"L03"}' in recorder.text


def test_an_answer_that_is_nested_too_deep(fake: FakeServer) -> None:
    """Python reads no such JSON: the line names the URL, as of any other body that is none."""
    fake.routes["/health"] = (200, {}, "[" * 100_000 + "]" * 100_000)
    with Http() as http, pytest.raises(Inconclusive, match=rf"{fake.url}/health: expected JSON, got status 200"):
        http.get(f"{fake.url}/health").field("status")


def test_redirects_are_shown_not_followed(fake: FakeServer) -> None:
    """A redirect is an answer: following it would measure another service."""
    fake.routes["/old"] = (302, {"Location": "/new"}, "")
    with Http() as http:
        assert http.get(f"{fake.url}/old").status == 302
    assert len(fake.seen) == 1


def test_a_redirect_to_no_url_is_an_answer(fake: FakeServer) -> None:
    """Where a redirect leads is nothing that a probe needs: one that leads nowhere is shown like any other."""
    fake.routes["/old"] = (302, {"Location": "http://[::1/new"}, "")
    with Http() as http:
        assert http.get(f"{fake.url}/old").status == 302


def test_headers_of_every_request(fake: FakeServer) -> None:
    """A server is asked as httpx asks it, but for plain bodies; a header of the request's own goes first."""
    fake.answer("/health", {})
    with Http() as http:
        http.get(f"{fake.url}/health")
        http.get(f"{fake.url}/health", headers={"accept": "text/html"}, bearer="token")
    host = fake.url.removeprefix("http://")
    sent = {"Host": host, "Accept-Encoding": "identity", "Connection": "keep-alive"}
    agent = f"python-httpx/{version('httpx')}"
    assert fake.seen[0][2] == sent | {"Accept": "*/*", "User-Agent": agent}
    assert fake.seen[1][2] == sent | {"accept": "text/html", "User-Agent": agent, "Authorization": "Bearer token"}


def test_cookies_are_sent_back_where_they_were_set(fake: FakeServer) -> None:
    """A session that an answer opens goes on, below its path only; one that an answer ends is over."""
    fake.routes["/in/login"] = (200, {"Set-Cookie": "session=one; Path=/in"}, "")
    fake.routes["/in/logout"] = (200, {"Set-Cookie": "session=; Path=/in; Max-Age=0"}, "")
    for path in ("/in/health", "/health"):
        fake.answer(path, {})
    with Http() as http:
        for path in ("/in/login", "/in/health", "/health", "/in/logout", "/in/health"):
            http.get(f"{fake.url}{path}")
    assert [headers.get("Cookie") for _, _, headers, _ in fake.seen] == [
        None,
        "session=one",
        None,
        "session=one",
        None,
    ]


def test_login_of_the_url(fake: FakeServer) -> None:
    """A login in a URL is sent as httpx sends it."""
    fake.answer("/health", {})
    with Http() as http:
        http.get(f"{fake.url}/health".replace("//", "//some%20one:p%40ss@"))
    assert fake.seen[0][2]["Authorization"] == f"Basic {b64encode(b'some one:p@ss').decode('ascii')}"


def test_long_bodies_are_read_whole_and_recorded_in_part(fake: FakeServer, recorder: Recorder) -> None:
    """The check sees all of a large body, the evidence its first 64 KB and a note."""
    fake.answer("/big", "x" * 200_000)
    with Http(record=recorder) as http:
        assert len(http.get(f"{fake.url}/big").text) == 200_000
    assert len(recorder.text) < 70_000
    assert "cut: 200,000 characters" in recorder.text


@pytest.mark.parametrize("body", ["<html>", "", "{"])
def test_not_json_is_inconclusive(fake: FakeServer, body: str) -> None:
    """A body that is no JSON measures nothing, and says where in one line."""
    fake.answer("/page", body)
    with Http() as http, pytest.raises(Inconclusive, match="expected JSON, got status 200") as caught:
        _ = http.get(f"{fake.url}/page").json
    assert "\n" not in str(caught.value)


def test_missing_field_is_inconclusive(fake: FakeServer) -> None:
    """A field that is not there is not measured, rather than wrong."""
    fake.answer("/health", {"state": "ok"})
    with Http() as http, pytest.raises(Inconclusive, match="no field 'status'"):
        http.get(f"{fake.url}/health").field("status")


@pytest.mark.parametrize("body", ['{"status": "down", "status": "ok"}', '{"parts": [{"a": 1, "b": 2, "a": 1}]}'])
def test_a_name_that_stands_twice_is_inconclusive(fake: FakeServer, body: str) -> None:
    """Python takes the last one of both, others the first: a service that says both is not known to be well."""
    fake.answer("/health", body)
    with (
        Http() as http,
        pytest.raises(Inconclusive, match=r"/health: the answer has '(status|a)' twice \(status 200\)"),
    ):
        _ = http.get(f"{fake.url}/health").json


def test_refused_connection_is_unreachable(recorder: Recorder) -> None:
    """Nothing listening is no answer, and the attempt is recorded."""
    url = f"http://127.0.0.1:{free_port()}/health"
    with Http(record=recorder) as http, pytest.raises(Unreachable, match="no answer"):
        http.get(url)
    assert "no answer" in recorder.text


def test_silence_is_unreachable(fake: FakeServer) -> None:
    """A server that accepts the connection without an answer runs into the timeout."""
    release = threading.Event()
    fake.routes["/slow"] = lambda _: release.wait(60)
    with Http(timeout_s=0.2) as http, pytest.raises(Unreachable, match=r"within 0\.2 s") as caught:
        http.get(f"{fake.url}/slow")
    release.set()
    assert caught.value.by_clock


def test_dripping_body_is_unreachable(fake: FakeServer) -> None:
    """A body that never ends is cut at the timeout although each byte comes in time."""
    stop = threading.Event()

    def drip(handler: object) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.send_header("Content-Length", "100000")  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        while not stop.wait(0.03):
            handler.wfile.write(b"x")  # type: ignore[attr-defined]

    fake.routes["/drip"] = drip
    with Http(timeout_s=0.3) as http, pytest.raises(Unreachable):
        http.get(f"{fake.url}/drip")
    stop.set()


def test_half_an_answer_is_unreachable(fake: FakeServer) -> None:
    """A connection closed in the middle of the body is no answer."""

    def half(handler: object) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.send_header("Content-Length", "100")  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        handler.wfile.write(b"half")  # type: ignore[attr-defined]
        handler.close_connection = True  # type: ignore[attr-defined]

    fake.routes["/half"] = half
    with Http() as http, pytest.raises(Unreachable):
        http.get(f"{fake.url}/half")


@pytest.mark.parametrize("url", ["http://[::1/health", "/health", "health", "", "http:///health"])
def test_url_that_cannot_be_asked_is_inconclusive(url: str) -> None:
    """A URL that is none is a fault of the question, not of a service."""
    with Http() as http, pytest.raises(Inconclusive, match="correct it"):
        http.get(url)


def test_views_share_connections(fake: FakeServer, recorder: Recorder) -> None:
    """A view records elsewhere but reuses the connections of its origin."""
    fake.answer("/health", {})
    with Http() as http:
        http.get(f"{fake.url}/health")
        http.recording(recorder).get(f"{fake.url}/health")
        assert http.recording(recorder)._clients is http._clients
    assert len(recorder.kept) == 1


def test_proxies_of_the_environment_are_ignored_on_loopback(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A company proxy must not stand between a test and this very machine."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    fake.answer("/health", {})
    with Http() as http:
        assert http.get(f"{fake.url}/health").status == 200


def test_tls_is_verified_against_the_given_authority(certificate_of: CertificateOf) -> None:
    """An unknown authority is refused, one named in ca_file trusted; a ca_file that is none is our fault."""
    files = certificate_of(86400)
    with tls_server(files) as server, Http() as http:
        server.answer("/health", {"status": "ok"})
        with pytest.raises(Unreachable, match=r"its certificate is refused .*; renew it, or set ca_file"):
            http.get(f"{server.url}/health")
        assert http.get(f"{server.url}/health", ca_file=str(files[0])).status == 200
        with pytest.raises(Inconclusive, match="ca_file"):
            http.get(f"{server.url}/health", ca_file=str(files[1]))


def test_https_on_a_server_without_tls(fake: FakeServer) -> None:
    """It is up, and so are its name and port: the scheme is wrong."""
    with Http() as http, pytest.raises(Unreachable, match=r"the answer is no TLS .*; write http:// in its url"):
        http.get(fake.url.replace("http://", "https://"))
