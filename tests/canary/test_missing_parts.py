"""Series that lack a part or come twice: buckets of some handlers, one pod scraped by two jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.canary.decision import GateOutcome
from opsverify.canary.policy import Policy
from opsverify.canary.window import CanaryWindow
from opsverify.canary.window_setup import LATER_SETTINGS, WITHIN_LIMIT
from opsverify.config.limits import Limits
from opsverify.errors import Inconclusive
from tests.canary.changed_series import changed
from tests.canary.cluster import ERRORS, SLOW, Cluster, Pod, pods

if TYPE_CHECKING:
    from collections.abc import Iterable

Sample = tuple[float, float, float]


def handlers(slow: float, policy: Policy | None = None, *, of_one_kind: bool = False) -> Cluster:
    """A cluster whose pods export two handlers; the buckets of the second have none at the limit."""
    made = Cluster(
        [*pods(2), *pods(2, "baseline")],
        slow={"canary": slow, "baseline": 0.01},
        counted=(ERRORS, SLOW),
        policy=policy or Policy(),
    )

    def change(
        selector: str, labels: dict[str, str], samples: list[Sample]
    ) -> Iterable[tuple[dict[str, str], list[Sample]]]:
        signal = selector.partition(":")[2]
        found = [(labels | {"handler": "/judge"}, samples)]
        if signal == "durations" or (signal == WITHIN_LIMIT and of_one_kind):
            found.append((labels | {"handler": "/health"}, samples))
        return found if signal in ("durations", WITHIN_LIMIT) else [(labels, samples)]

    return changed(made, change)


def test_durations_without_a_bucket_hold_and_are_named() -> None:
    """All of them would count as slow: a healthy canary was rolled back with 50 % slow judgments."""
    decision = handlers(0.01).watch().decision
    assert decision.outcome is GateOutcome.HOLD, decision.reasons
    assert "missing bucket: durations {handler=/health," in decision.reasons[0]


@pytest.mark.parametrize(("slow", "outcome"), [(0.01, GateOutcome.PROMOTE), (0.2, GateOutcome.ROLLBACK)])
def test_handlers_with_the_same_buckets_are_judged(slow: float, outcome: GateOutcome) -> None:
    """As before."""
    decision = handlers(slow, of_one_kind=True).watch().decision
    assert decision.outcome is outcome, decision.reasons


def test_windows_of_before_are_replayed_as_they_were_decided() -> None:
    """Without the setting that their header lacks."""
    decision = handlers(0.01, Policy(**LATER_SETTINGS)).watch().decision
    assert decision.outcome is GateOutcome.ROLLBACK, decision.reasons


def scraped_by_two_jobs(scope: str) -> Cluster:
    """A cluster of which one scope is scraped by two jobs."""

    def change(
        selector: str, labels: dict[str, str], samples: list[Sample]
    ) -> Iterable[tuple[dict[str, str], list[Sample]]]:
        jobs = ("api", "pods") if selector.startswith(f"{scope}:") else ("api",)
        return [(labels | {"job": job}, samples) for job in jobs]

    return changed(Cluster([*pods(2), *pods(2, "baseline")]), change)


@pytest.mark.parametrize("scope", ["canary", "baseline"])
def test_what_two_jobs_scrape_is_counted_once_in_the_share(scope: str) -> None:
    """A fifth of the requests are the canary's, however often they are scraped; the series is named."""
    watch = scraped_by_two_jobs(scope).watch()
    assert watch.traffic_share == pytest.approx(0.2, abs=0.01)
    with pytest.raises(Inconclusive, match=f"{scope}: duplicate series .*scraped by two jobs"):
        CanaryWindow(watch, Limits()).traffic_share()


def read_in_turn(label: str, seconds: float, policy: Policy | None = None) -> Cluster:
    """A cluster whose canary is scraped by two servers, told apart by a label, some seconds one after the other."""
    made = Cluster([*pods(2), *pods(2, "baseline")], policy=policy or Policy())
    later = Cluster([*pods(2), *pods(2, "baseline")], policy=policy or Policy())
    for pod in later.pods:
        pod.offset += int(seconds)
    later.count()

    def named(name: str, cluster: Cluster) -> Cluster:
        return changed(
            cluster,
            lambda selector, labels, samples: [
                (labels | ({label: name} if selector.startswith("canary:") else {}), samples)
            ],
        )

    first, second = named("a", made), named("b", later)
    first.series = {
        selector: found | (second.series[selector] if selector.startswith("canary:") else {})
        for selector, found in first.series.items()
    }
    return first


@pytest.mark.parametrize("label", ["monitor", "ha", "scraper"])
def test_two_scrapers_that_read_in_turn_are_named(label: str) -> None:
    """However the label is called that tells them apart: every request would count twice."""
    watch = read_in_turn(label, 5).watch()
    assert watch.decision.outcome is GateOutcome.HOLD, watch.decision.reasons
    assert f"{label}=a" in watch.decision.reasons[0]
    assert "two scrapers read one counter in turn" in watch.decision.reasons[0]
    with pytest.raises(Inconclusive, match="two scrapers read one counter in turn"):
        CanaryWindow(watch, Limits()).traffic_share()


def test_windows_of_two_scrapers_of_before_are_replayed_as_they_were_decided() -> None:
    """Without the setting that their header lacks."""
    watch = read_in_turn("ha", 5, Policy(**LATER_SETTINGS)).watch()
    assert watch.decision.outcome is GateOutcome.PROMOTE, watch.decision.reasons


def test_a_label_that_changes_is_no_second_scraper() -> None:
    """One series ends, the other goes on with its count."""
    made = Cluster([*pods(2, renamed=300.0, carries=True), *pods(2, "baseline")])
    decision = made.watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons


def test_pods_behind_a_collector_under_a_label_of_their_own_are_two() -> None:
    """Alike in traffic, and told apart by `canary.instance_label`."""
    made = Cluster(
        [
            Pod(f"canary-{number}", offset=7 * number, labels={"instance": "collector:80", "shard": str(number)})
            for number in range(2)
        ]
        + pods(2, "baseline"),
        instance_label="shard",
        exports_up=False,
        poisson=False,
    )
    decision = made.watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons
