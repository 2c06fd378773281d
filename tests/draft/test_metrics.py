"""Guesses of signals: by name, type and label values; nothing is guessed where the labels say too little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.draft.metrics import SeenMetric, SeenMetrics, guess
from opsverify.metrics.status_values import kind_of
from opsverify.probes.prometheus_values import read_types

if TYPE_CHECKING:
    from collections.abc import Mapping


def seen(*metrics: SeenMetric) -> SeenMetrics:
    """What a Prometheus shows."""
    return SeenMetrics(("app",), (), metrics, len(metrics))


def requests(**labels: tuple[str, ...]) -> SeenMetric:
    """A counter of requests."""
    return SeenMetric("http_requests_total", "counter", labels)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (("200", "404", "500"), 'status=~"5.."'),
        (("200", "404"), 'status=~"5.."'),
        (("2xx", "5xx"), 'status="5xx"'),
        (("2xx", "4xx"), 'status="5xx"'),
        (("ok", "error"), 'status="error"'),
        (("ok", "Failed"), 'status="Failed"'),
    ],
)
def test_failed_requests(values: tuple[str, ...], match: str) -> None:
    """By the spelling that the platform itself uses."""
    assert guess(seen(requests(status=values))).signals["request_errors"] == ("http_requests_total", match)


@pytest.mark.parametrize("labels", [{}, {"status": ("ok", "done")}, {"path": ("/a",)}])
def test_no_failed_requests_to_be_seen(labels: dict[str, tuple[str, ...]]) -> None:
    """Then there is no guess, and the note says what was seen."""
    found = guess(seen(requests(**labels)))
    assert "request_errors" not in found.signals
    assert found.notes


def test_the_counter_with_a_status_is_the_one_of_requests() -> None:
    """Not that of a queue, which is called a request as well."""
    queue = SeenMetric("queue_requests_total", "counter", {"queue": ("a",)})
    found = guess(seen(queue, requests(code=("200",))))
    assert found.signals["requests"] == ("http_requests_total", "")


def test_durations_of_the_same_requests() -> None:
    """The histogram that shares most of its name and labels with the counter."""
    histograms = [
        SeenMetric("db_query_duration_seconds", "histogram", {"table": ("a",)}),
        SeenMetric("http_request_duration_seconds", "histogram", {"code": ("200",)}),
    ]
    found = guess(seen(requests(code=("200",)), *histograms)).signals
    assert found["durations"] == ("http_request_duration_seconds_count", "")
    assert found["duration_buckets"] == ("http_request_duration_seconds_bucket", "")


@pytest.mark.parametrize(
    ("label", "values", "match"),
    [
        ("response_code", ("200", "404"), 'response_code=~"5.."'),
        ("http_response_status_code", ("200",), 'http_response_status_code=~"5.."'),
        ("envoy_response_code_class", ("2", "4"), 'envoy_response_code_class="5"'),
        ("outcome", ("SUCCESS",), 'outcome="SERVER_ERROR"'),
        ("grpc_code", ("OK",), 'grpc_code=~"Unknown|DeadlineExceeded|Internal|Unavailable|DataLoss"'),
    ],
)
def test_failed_requests_of_common_exporters(label: str, values: tuple[str, ...], match: str) -> None:
    """None has happened yet, and the check does not hold for the selector that is drafted."""
    metric, found = guess(seen(requests(**{label: values}))).signals["request_errors"]
    assert (metric, found) == ("http_requests_total", match)
    assert kind_of(label, values) is not None


def test_a_histogram_counts_requests_where_no_counter_does() -> None:
    """As OpenTelemetry's conventions have it; what the service asks of others is not what it serves."""
    labels: dict[str, tuple[str, ...]] = {"http_response_status_code": ("200",)}
    client, server = (
        SeenMetric(f"http_{side}_request_duration_seconds", "histogram", labels) for side in ("client", "server")
    )
    found = guess(seen(client, server)).signals
    assert found["requests"] == found["durations"] == ("http_server_request_duration_seconds_count", "")
    assert found["request_errors"] == (found["requests"][0], 'http_response_status_code=~"5.."')
    assert guess(seen(requests(code=("200",)), server)).signals["requests"] == ("http_requests_total", "")


@pytest.mark.parametrize(
    ("labels", "canary"),
    [
        ({"track": ("canary", "stable")}, 'track="canary"'),
        ({"slot": ("blue", "green")}, 'slot="green"'),
        ({"version": ("1.4.0", "1.5.0")}, 'version="1.5.0"'),
        ({"track": ("stable",)}, None),
        ({"version": ("1", "2", "3")}, None),
        ({"path": ("/a", "/b")}, None),
    ],
)
def test_what_tells_a_canary_apart(labels: dict[str, tuple[str, ...]], canary: str | None) -> None:
    """A label of two values whose name says that it may be one."""
    split = guess(seen(requests(**labels))).split
    assert (split.canary if split else None) == canary


def test_types_that_sources_disagree_on() -> None:
    """Two exporters may give one name to two things."""
    answer: dict[str, list[Mapping[str, str]]] = {
        "a_total": [{"type": "counter"}, {"type": "counter"}],
        "b": [{"type": "gauge"}, {"type": "counter"}],
    }
    assert read_types(answer) == {"a_total": "counter", "b": "unknown"}
