"""Series that an exporter leaves out while they are quiet: what they had counted before the window is not of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from opsverify.canary.observation import ObservedStep
from opsverify.canary.observer import Observer
from tests.canary.cluster import START, Cluster, Pod, Source, pods
from tests.canary.situations import cluster

if TYPE_CHECKING:
    from opsverify.probes.prometheus_values import Vector


def expiring(made: Cluster, quiet_s: float) -> Cluster:
    """Its errors are no longer exported once there was none for so long, and are again with the next one."""
    for selector, series in made.series.items():
        for labels, samples in list(series.items()):
            if selector.startswith("canary:") and ("code", "500") in labels:
                kept, grown_at, last = [], -1e9, None
                for stored, at, value in samples:
                    grown_at = at if value != last else grown_at
                    last = value
                    if at - grown_at < quiet_s:
                        kept.append((stored, at, value))
                series[labels] = kept
    return made


@pytest.mark.parametrize("past", [20, 50, 100, 150, 400])
@pytest.mark.parametrize("seed", [1, 2])
def test_errors_of_before_that_come_back_are_none_of_the_window(past: int, seed: int) -> None:
    """0.1 % errors, whatever each pod had counted of them before."""
    canary = pods(3, past=(100_000, past))
    watch = expiring(cluster(seed, canary, 0.001, baseline=0.001), 60.0).watch()
    assert watch.decision.outcome.value == "promote", watch.decision.reasons


def test_a_new_error_counts_in_full() -> None:
    """A label's first use is asked for, and has no past."""
    watch = cluster(1, pods(3, past=(100_000, 0)), ((-1e6, 0.0), (0.0, 0.03)), baseline=0.001).watch()
    assert watch.decision.outcome.value == "rollback"


def test_what_was_asked_survives_the_line() -> None:
    """A replay counts by the same answer; no field of steps that asked nothing."""
    step = ObservedStep(1.0, earlier={"canary": {"requests": {"code=500": 7.0}}})
    assert ObservedStep.loads(step.dumps()) == step
    assert "earlier" not in ObservedStep(1.0).dumps()


def test_what_a_pod_counted_before_it_is_scraped_again_is_none_of_the_window() -> None:
    """It was away when the window began: what was known of it last does not say when it counted the rest."""
    away = Pod("away", past=(0, 0), offset=10, exports_start=False, unscraped=((-50.0, 20.0),))
    made = cluster(1, [Pod("steady", past=(0, 0), exports_start=False), away])
    watch = made.watch()
    trials, _ = made.truth(watch.elapsed_s)
    assert 0 < watch.assessment("error_rate").trials <= trials


@pytest.mark.parametrize(("named", "asked"), [("line", False), ("", True)])
def test_a_pod_is_told_from_others_by_the_label_that_the_target_names(named: str, *, asked: bool) -> None:
    """Behind a collector: a pod that comes has no past to ask for, however long others are scraped there."""
    lines = [
        Pod(f"canary-{n}", born=born, labels={"instance": "collector:1", "line": str(n)})
        for n, born in enumerate((-1e6, 100.0))
    ]
    made = cluster(1, lines, instance_label=named)
    source = Asking(made)
    made.now = START
    Observer(source, made.clock, lambda _: None, lambda _: None).observe(made.setup)  # type: ignore[arg-type]
    assert bool(source.queries) == asked


@dataclass
class Asking(Source):
    """The cluster, and what of earlier values was asked."""

    queries: list[str] = field(default_factory=list)

    def whole(self, query: str, at: float | None = None) -> Vector:
        """As the cluster has them."""
        self.queries.append(query)
        return super().whole(query, at)
