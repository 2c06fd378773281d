"""Answers of Thanos, Mimir, VictoriaMetrics and odd Prometheus servers, replayed from their documented forms."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.config.model import McpServer, PrometheusConfig
from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.mcp import Mcp
from opsverify.probes.native_histogram import read_histogram
from opsverify.probes.prometheus import FaultReason, Prometheus, SourceFault
from opsverify.probes.prometheus_values import read_series
from opsverify.probes.together import ask_together
from tests.probes.probe_servers import tls_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from tests.probes.probe_servers import CertificateOf, FakeServer

QUERY = "/api/v1/query"
MATRIX = {"resultType": "matrix", "result": [{"metric": {"code": "200"}, "values": [[1.0, "5"]]}]}
PARTIAL: dict[str, tuple[dict[str, Any], int]] = {
    "VictoriaMetrics": ({"status": "success", "isPartial": True, "data": MATRIX}, 200),
    "Thanos": (
        {"status": "success", "data": MATRIX, "warnings": ["receive series from Addr: store:10901: rpc error"]},
        200,
    ),
    "Thanos, refused": (
        {"status": "error", "errorType": "execution", "error": "expanding series: fetch series for {}: rpc error"},
        422,
    ),
    "Mimir, refused": (
        {"status": "error", "errorType": "internal", "error": "too many unhealthy instances in the ring"},
        500,
    ),
    "VictoriaMetrics, refused": (
        {"status": "error", "errorType": "503", "error": "cannot fetch query results from vmstorage nodes"},
        503,
    ),
}


@pytest.fixture
def source(fake: FakeServer) -> Iterator[Prometheus]:
    """Open a probe of the fake server."""
    with Prometheus(PrometheusConfig(url=fake.url, timeout_s=30.0)) as probe:
        yield probe


@pytest.mark.parametrize("form", PARTIAL)
def test_partial_answers_count_nothing(source: Prometheus, fake: FakeServer, form: str) -> None:
    """Half the series would be a wrong count: every documented form of a part is named."""
    fake.answer(QUERY, *PARTIAL[form])
    with pytest.raises(SourceFault, match="partial response") as caught:
        source.history("requests", 60)
    assert caught.value.reason is FaultReason.PARTIAL_RESPONSE


def test_whole_answers_are_asked_for(source: Prometheus, fake: FakeServer) -> None:
    """Thanos and VictoriaMetrics are told to refuse rather than to answer in part, the latter not to leave out 30 s.

    `isPartial: false` is whole.
    """
    fake.answer(QUERY, {"status": "success", "isPartial": False, "data": MATRIX, "infos": ["PromQL info: x"]})
    assert len(source.history("requests", 60)) == 1
    assert "partial_response=false" in fake.seen[0][1]
    assert "deny_partial_response=1" in fake.seen[0][1]
    assert "latency_offset=1ms" in fake.seen[0][1]


def test_a_missing_tenant_is_named(source: Prometheus, fake: FakeServer) -> None:
    """Mimir without a tenant says `no org id`: the key to add is named."""
    fake.answer(QUERY, "no org id\n", 401)
    with pytest.raises(SourceFault, match="X-Scope-OrgID"):
        source.history("requests", 60)


def test_milliseconds_are_seconds() -> None:
    """Timestamps in milliseconds are read as what they are, and samples come in order."""
    entry = {"metric": {}, "values": [[1_764_336_015_000, "2"], [1_764_336_000_000, "1"]]}
    (series,) = read_series({"resultType": "matrix", "result": [entry]})
    assert series.points == ((1_764_336_000.0, 1.0), (1_764_336_015.0, 2.0))


HISTOGRAM = {"count": "10", "sum": "9", "buckets": [[0, "1", "1.4142135623730951", "6"], [0, "1.41421", "2", "4"]]}


@pytest.mark.parametrize(("bound", "count"), [(1.414, 6.0), (2.0, 10.0), (1.0, 0.0)])
def test_native_histograms_are_counted_at_their_boundaries(bound: float, count: float) -> None:
    """A range answer with `histograms` has exact counts: all, and up to a boundary."""
    entry = {"metric": {}, "histograms": [[1.0, HISTOGRAM]]}
    (series,) = read_series({"resultType": "matrix", "result": [entry]})
    assert series.points == ((1.0, 10.0),)
    assert series.within(bound) == ((1.0, count),)


def test_a_limit_inside_a_native_bucket_is_named() -> None:
    """What lies inside a bucket cannot be counted: both boundaries are named."""
    with pytest.raises(SourceFault, match=r"1\.5 s lies inside a bucket from 1\.41421 to 2 s"):
        read_histogram(HISTOGRAM).within(1.5)


def test_time_that_is_refused_comes_from_the_answer(source: Prometheus, fake: FakeServer) -> None:
    """A source that evaluates no `time()` still dates its answers; a gateway's date is no clock of the source."""

    def refuse(status: int) -> None:
        fake.routes[QUERY] = (status, {}, '{"error": "unknown function"}')

    refuse(422)
    assert source.now() == pytest.approx(time.time(), abs=600)
    refuse(503)
    with pytest.raises(SourceFault):
        source.now()


def test_questions_are_asked_together(source: Prometheus, fake: FakeServer) -> None:
    """All queries are under way at once: each waits until all have come."""
    everyone = threading.Barrier(20)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        everyone.wait(60)
        body = b'{"status": "success", "data": {"resultType": "matrix", "result": []}}'
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    fake.routes[QUERY] = answer
    found = ask_together(source, {number: lambda probe: probe.history("x", 60) for number in range(20)}, 60)
    assert found == dict.fromkeys(range(20), ())


def test_a_look_ends_with_its_time(source: Prometheus, fake: FakeServer) -> None:
    """Queries that take longer than their time are a named fault; nobody waits for them."""
    release = threading.Event()

    def hang_up_late(handler: BaseHTTPRequestHandler) -> None:
        release.wait(60)
        handler.close_connection = True

    fake.routes[QUERY] = hang_up_late
    with pytest.raises(Inconclusive, match=r"1 of 1 queries without an answer within 0\.05 s"):
        ask_together(source, {"x": lambda probe: probe.history("x", 60)}, 0.05)
    release.set()


def test_matchers_select_the_platforms_own(fake: FakeServer) -> None:
    """Another team's dev target and rule do not count; matchers that select nothing are named."""
    targets = [
        {"labels": {"job": "a", "team": "judgment"}, "health": "up"},
        {"labels": {"job": "dev", "team": "other"}, "health": "down"},
    ]
    fake.answer("/api/v1/targets", {"status": "success", "data": {"activeTargets": targets}})
    with Prometheus(PrometheusConfig(url=fake.url, targets='team="judgment"')) as probe:
        assert [target.job for target in probe.targets()] == ["a"]
    with (
        Prometheus(PrometheusConfig(url=fake.url, targets='team="judgement"')) as probe,
        pytest.raises(SourceFault, match="selects none of 2"),
    ):
        probe.targets()


@pytest.mark.parametrize("year", [2020, 2120])
def test_old_targets_are_stale(fake: FakeServer, year: int) -> None:
    """`up` of yesterday is not up; where this machine's clock is late, what is old looks new."""
    old = {
        "labels": {"job": "a"},
        "health": "up",
        "lastScrape": f"{year}-01-01T00:00:00.123456789Z",
        "scrapeInterval": "15s",
    }
    fake.answer("/api/v1/targets", {"status": "success", "data": {"activeTargets": [old]}})
    with Prometheus(PrometheusConfig(url=fake.url)) as probe, pytest.raises(SourceFault) as caught:
        probe.targets()
    assert caught.value.reason is FaultReason.STALE


def test_a_certificate_that_is_refused(certificate_of: CertificateOf) -> None:
    """The server is up, and its name and port are right: the advice is another one, of every source over https."""
    with tls_server(certificate_of(86400)) as server:
        for source in (Prometheus(PrometheusConfig(url=server.url)), Mcp(McpServer(url=server.url))):
            ask = source.rules if isinstance(source, Prometheus) else source.describe
            with pytest.raises(Unreachable, match=r"its certificate is refused .*; renew it, or set ca_file"):
                ask()
            source.close()
