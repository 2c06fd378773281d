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
from tests.canary.cluster import ERRORS, SLOW, Cluster, pods

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
