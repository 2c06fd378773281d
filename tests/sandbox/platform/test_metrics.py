"""Metrics of the service, as a scrape shows them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.home import Control, ControlState
from sandbox.platform.faults import Faults
from sandbox.platform.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client.samples import Sample


def scrape(home: Path, metrics: Metrics, fault: str = "") -> list[Sample]:
    """The samples of one scrape, with at most one fault on."""
    Control(home).write(ControlState(faults={fault: "all"} if fault else {}))
    text = metrics.expose(Faults(home, "canary")).decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


@pytest.fixture
def metrics() -> Metrics:
    """The metrics of a canary that has done nothing yet."""
    return Metrics("canary", "1.5.0")


@pytest.mark.parametrize(
    ("name", "label", "value"),
    [
        ("judgment_requests_total", "code", "200"),
        ("judgment_requests_total", "code", "500"),
        ("llm_calls_total", "outcome", "timeout"),
        ("llm_parse_total", "outcome", "failed"),
        ("workflow_finished_total", "status", "failed"),
        ("mcp_calls_total", "outcome", "timeout"),
        ("mcp_breaker_transitions_total", "to", "half-open"),
        ("judgment_cache_total", "outcome", "hit"),
        ("notifications_total", "outcome", "failed"),
    ],
)
def test_expected_series_exist_from_the_start(
    tmp_path: Path, metrics: Metrics, name: str, label: str, value: str
) -> None:
    """A canary without failures shows 0, which is not the same as no series."""
    values = [s.value for s in scrape(tmp_path, metrics) if (s.name, s.labels.get(label)) == (name, value)]
    assert values == [0.0]


def test_every_series_has_its_track(tmp_path: Path, metrics: Metrics) -> None:
    """Canary and baseline can be told apart everywhere."""
    metrics.running("1.5.0", "0004")
    assert {sample.labels.get("track") for sample in scrape(tmp_path, metrics)} == {"canary"}


def test_judgments_count_with_code_and_time(tmp_path: Path, metrics: Metrics) -> None:
    """One judgment moves its code, the sum, and the buckets from its duration up."""
    metrics.judged(500, 1.2)
    samples = scrape(tmp_path, metrics)
    counts = {s.labels["code"]: s.value for s in samples if s.name == "judgment_requests_total"}
    assert counts == {"200": 0, "400": 0, "500": 1, "503": 0}
    buckets = {s.labels["le"]: s.value for s in samples if s.name == "judgment_duration_seconds_bucket"}
    assert (buckets["1.0"], buckets["1.5"]) == (0, 1)


def test_only_the_running_version_is_told(tmp_path: Path, metrics: Metrics) -> None:
    """After a migration app_info has one series, not two."""
    metrics.running("1.5.0", "0003")
    metrics.running("1.5.0", "0004")
    infos = [sample.labels["migration"] for sample in scrape(tmp_path, metrics) if sample.name == "app_info"]
    assert infos == ["0004"]


def test_metrics_missing_hides_judgments_only(tmp_path: Path, metrics: Metrics) -> None:
    """The fault removes judgment_* and leaves the rest."""
    names = {sample.name for sample in scrape(tmp_path, metrics, "metrics_missing")}
    assert not [name for name in names if name.startswith("judgment_")]
    assert "llm_calls_total" in names


def test_metrics_nan_shows_in_one_counter(tmp_path: Path, metrics: Metrics) -> None:
    """The fault exports the error counter as NaN, and the number is back afterwards."""
    broken = [sample for sample in scrape(tmp_path, metrics, "metrics_nan") if math.isnan(sample.value)]
    assert [(sample.name, sample.labels["code"]) for sample in broken] == [("judgment_requests_total", "500")]
    assert not [sample for sample in scrape(tmp_path, metrics) if math.isnan(sample.value)]
