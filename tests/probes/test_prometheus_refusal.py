"""Refusals of Prometheus and of what stands in front of it, each named with what to do."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from opsverify.config.model import PrometheusConfig
from opsverify.probes.prometheus import Prometheus, SourceFault
from tests.support.http_double import answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.probes.probe_servers import FakeServer


@pytest.fixture
def faulty(fake: FakeServer) -> Iterator[Callable[..., Prometheus]]:
    """Open a probe of a fake server that answers as given."""
    with Prometheus(PrometheusConfig(url=fake.url, timeout_s=30)) as probe:

        def answered(body: object, status: int = 200) -> Prometheus:
            fake.answer("/api/v1/query", body, status)
            fake.answer("/api/v1/rules", body, status)
            return probe

        yield answered


_SAMPLE = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "5"]}]}
_SERIES = {"resultType": "matrix", "result": [{"metric": {"__name__": "a"}, "values": [[1, "1"]]}]}
_TOO_MANY = {"status": "error", "errorType": "execution", "error": "query processing would load too many samples"}


@pytest.mark.parametrize("status", ["error", None])
def test_data_without_success_are_not_whole(faulty: Callable[..., Prometheus], status: str | None) -> None:
    """An answer that does not say `success` is a fault with its error, whatever data it brings beside it."""
    said = {} if status is None else {"status": status, "error": "a store is away"}
    problem = "no answer of Prometheus' API" if status is None else "not success: a store is away"
    asked: list[tuple[object, Callable[[Prometheus], object]]] = [
        (_SAMPLE, lambda probe: probe.whole("up")),
        (_SAMPLE, lambda probe: probe.firing_alerts()),
        (_SERIES, lambda probe: probe.history("up", 60, 100.0)),
        ({"groups": []}, lambda probe: probe.rules()),
    ]
    for data, ask in asked:
        with pytest.raises(SourceFault, match=problem):
            ask(faulty(said | {"data": data}))


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ("<!doctype html><html>login</html>", 200, "an HTML page, expected JSON .a login page"),
        ("", 200, "an empty answer; check the URL"),
        ('{"status": "success", "da', 200, "no JSON, or a part of it"),
        ({"results": {}}, 200, "JSON of another API"),
        (_TOO_MANY, 200, "status error, not success: query processing .*raise --query.max-samples"),
        (_TOO_MANY, 422, "status 422.*raise --query.max-samples"),
        ("slow down", 429, "status 429.*raise the limit of this client"),
    ],
)
def test_what_is_in_front_of_it_is_named(
    faulty: Callable[..., Prometheus], body: object, status: int, problem: str
) -> None:
    """A login page, an empty or cut answer, another API and a limit are told from one another."""
    probe = faulty(body, status)
    for ask in (lambda: probe.whole("up"), lambda: probe.history("up", 60, 100.0)):
        with pytest.raises(SourceFault, match=problem):
            ask()


def test_when_to_ask_again_is_said() -> None:
    """A server that is overloaded says after how long to ask again."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("Retry-After", "30")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with (
        answering(Handler) as url,
        Prometheus(PrometheusConfig(url=url, timeout_s=30)) as probe,
        pytest.raises(SourceFault, match=r"overloaded or starting: wait, then rerun \(Retry-After: 30 s\)"),
    ):
        probe.whole("up")
