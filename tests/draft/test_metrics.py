"""Guesses of signals: by name, type and label values; nothing is guessed where the labels say too little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.draft.metrics import SeenMetric, SeenMetrics, guess
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


def test_durations_in_another_unit_are_left_out() -> None:
    """The limit is in seconds: no target with such buckets loads."""
    in_ms = SeenMetric("http_request_duration_milliseconds", "histogram", {"code": ("200",)})
    assert "duration_buckets" not in guess(seen(requests(code=("200",)), in_ms)).signals


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
