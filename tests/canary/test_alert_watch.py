"""Alerts of the canary over a window: those of before it, and what a restart of Prometheus makes of them."""

from __future__ import annotations

import pytest

from opsverify.canary.alert_watch import AlertWatch
from opsverify.canary.decision import GateOutcome
from opsverify.canary.observation import ObservedStep
from opsverify.canary.policy import Policy
from opsverify.canary.watch import GateWatch
from opsverify.canary.window_setup import LATER_SETTINGS, Setup
from tests.canary.made_steps import ERRORS, START

FIRES = ("TooSlow",)
GRACE_S = 600.0


def after(*steps: tuple[float, float | None], goes_on: bool = True) -> AlertWatch:
    """The watch after answered steps: seconds in the window, and since when the alert fires (None: it does not)."""
    watch = AlertWatch(START, GRACE_S, goes_on=goes_on)
    for second, since in steps:
        fires = {} if since is None else {"TooSlow": START + since}
        watch.advance(ObservedStep(START + second, None, {}, tuple(fires), fires))
    return watch


@pytest.mark.parametrize("gap", [15.0, 90.0])
def test_an_alert_of_before_stays_one_when_prometheus_restarts(gap: float) -> None:
    """It fires before and after the gap, and says that it began in it: it is waited for, as promised."""
    watch = after((0, -300), (15, -300), (15 + gap, 10 + gap), (30 + gap, 10 + gap))
    assert watch.fired == ()
    assert len(watch.earlier) == 1
    assert after((0, -300), (15, -300), (15 + gap, 10 + gap), (GRACE_S, 10 + gap)).fired == FIRES


def test_one_that_ended_and_began_anew_rolls_back() -> None:
    """A step without it is between the two."""
    assert after((0, -300), (15, -300), (30, None), (45, 40)).fired == FIRES


@pytest.mark.parametrize("since", [5.0, 14.0])
def test_one_that_began_inside_rolls_back(since: float) -> None:
    """At once, whatever came before."""
    assert after((0, None), (15, since)).fired == FIRES


def test_windows_of_before_are_replayed_as_they_were_decided() -> None:
    """Without the setting that their header lacks."""
    assert after((0, -300), (15, -300), (105, 100), goes_on=False).fired == FIRES
    for policy, outcome in ((Policy(), GateOutcome.CONTINUE), (Policy(**LATER_SETTINGS), GateOutcome.ROLLBACK)):
        watch = GateWatch(Setup(start=START, policy=policy, counted=(ERRORS,), skew_s=0.0))
        for second, since in ((0, -300.0), (15, 10.0)):
            watch.advance(ObservedStep(START + second, None, {}, FIRES, {"TooSlow": START + since}))
        assert watch.decision.outcome is outcome
