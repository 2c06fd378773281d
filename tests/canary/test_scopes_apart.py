"""Scopes that share series: a selector that matches both tracks promotes nothing and rolls nothing back."""

from __future__ import annotations

import pytest

from opsverify.canary.decision import GateOutcome
from opsverify.canary.policy import Policy
from opsverify.canary.window import CanaryWindow
from opsverify.canary.window_setup import LATER_SETTINGS
from opsverify.config.limits import Limits
from opsverify.errors import Inconclusive
from tests.canary.cluster import Cluster, pods

GREEDY = {"canary": "baseline", "baseline": "canary"}


def greedy(scope: str, errors: float, policy: Policy | None = None) -> Cluster:
    """A cluster whose selector of `scope` matches the pods of the other one as well."""
    made = Cluster(
        [*pods(3), *pods(3, "baseline")],
        errors={"canary": errors, "baseline": 0.003},
        policy=policy or Policy(),
    )
    for selector in list(made.series):
        of, _, signal = selector.partition(":")
        if of == scope:
            made.series[selector] = made.series[selector] | made.series[f"{GREEDY[scope]}:{signal}"]
    return made


@pytest.mark.parametrize(("scope", "errors"), [("canary", 0.003), ("canary", 0.03), ("baseline", 0.003)])
def test_a_series_in_both_scopes_holds_and_is_named(scope: str, errors: float) -> None:
    """What fails on the canary alone is thinned out by the baseline, and its share of the traffic is anything."""
    watch = greedy(scope, errors).watch()
    assert watch.decision.outcome is GateOutcome.HOLD, watch.decision.reasons
    assert "is in both scopes, canary and baseline" in watch.decision.reasons[0]
    with pytest.raises(Inconclusive, match="is in both scopes"):
        CanaryWindow(watch, Limits()).traffic_share()


def test_a_breach_of_a_canary_that_the_baseline_takes_along_rolls_back() -> None:
    """The canary's counts are its own, whatever the other selector matches."""
    decision = greedy("baseline", 0.03).watch().decision
    assert decision.outcome is GateOutcome.ROLLBACK, decision.reasons


def test_windows_of_before_are_replayed_as_they_were_decided() -> None:
    """Without the setting that their header lacks."""
    watch = greedy("canary", 0.003, Policy(**LATER_SETTINGS)).watch()
    assert watch.decision.outcome is GateOutcome.PROMOTE, watch.decision.reasons
