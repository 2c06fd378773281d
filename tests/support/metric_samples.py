"""Metric samples of a gate's server, as a scrape gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from opsverify.serve.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.gate_server import LiveGate


def samples(live: LiveGate) -> dict[str, float]:
    """Every sample, by its series."""
    answer = live.call("GET", "/metrics", token=None)
    assert answer.headers["content-type"] == CONTENT_TYPE
    found = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {f"{sample.name}{{{_labels(sample.labels)}}}": sample.value for sample in found}


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value!r}" for name, value in sorted(labels.items()))
