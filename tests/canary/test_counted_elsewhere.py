"""Bad ones that are more than their trials: a window in which they are counted elsewhere is held, whoever it is of."""

from __future__ import annotations

import pytest

from opsverify.canary.decision import GateOutcome
from opsverify.canary.observation import ObservedStep
from opsverify.canary.watch import GateWatch
from tests.canary.cluster import Cluster, pods

TRIALS = 100.0


def window(canary: float, baseline: float) -> GateWatch:
    """A window to its end, with so many bad ones at each step of a hundred trials."""
    setup = Cluster([*pods(1), *pods(1, "baseline")]).setup
    steps = []
    for number in range(int(setup.policy.longest_s / setup.policy.step_s) + 2):
        at = setup.policy.step_s * number
        samples = {
            scope: {
                "requests": {f"instance={scope}": {at: 5000 + TRIALS * number}},
                "request_errors": {f"code=500,instance={scope}": {at: 50 + bad * number}},
            }
            for scope, bad in (("canary", canary), ("baseline", baseline))
        }
        steps.append(ObservedStep(at, None, samples))
    watch = GateWatch(setup)
    for step in steps:
        watch.advance(step)
        if watch.over:
            break
    return watch


def test_the_canarys_hold_with_both_selectors() -> None:
    """Three times as many failures as requests are no failures of these requests: neither promoted nor rolled back."""
    decision = window(3 * TRIALS, 0).decision
    assert decision.outcome is GateOutcome.HOLD
    assert "request_errors (canary:request_errors) counts" in decision.reasons[0]
    assert "more than requests (canary:requests)" in decision.reasons[0]


def test_the_baselines_hold_a_good_canary() -> None:
    """It seems to breach at every step, and would be taken for one that shares whatever the canary does."""
    decision = window(0, 3 * TRIALS).decision
    assert decision.outcome is GateOutcome.HOLD
    assert "baseline: request_errors (baseline:request_errors) counts" in decision.reasons[0]


@pytest.mark.parametrize("baseline", [0.0, 3 * TRIALS])
def test_a_breach_of_the_canary_stays_proven(baseline: float) -> None:
    """Whatever the baseline's selectors are: a third of the canary's own requests fail."""
    assert window(TRIALS / 3, baseline).decision.outcome is GateOutcome.ROLLBACK


def test_reading_two_counters_one_after_the_other_is_no_fault() -> None:
    """A hundredth more bad ones than trials: all were bad."""
    watch = window(TRIALS * 1.005, 0)
    assert watch.decision.outcome is GateOutcome.ROLLBACK
