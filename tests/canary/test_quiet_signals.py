"""Quiet signals: too few to be judged, and no reason to hold for what a pod that comes, restarts or ends may hide."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from opsverify.canary.decision import GateOutcome
from opsverify.canary.observation import ObservedStep
from opsverify.canary.policy import Policy
from opsverify.canary.watch import GateWatch
from opsverify.canary.window_setup import LATER_SETTINGS, PROCESS_START, UP, Setup
from tests.canary.made_steps import ERRORS, START, TIMEOUTS

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_S = Policy().step_s
EARLIER = Policy(**LATER_SETTINGS)
TO_THE_END = Policy(shortest_s=Policy().longest_s)


@dataclass(frozen=True)
class Second:
    """The second pod of a canary: the steps at which it is born, comes, restarts, and is scraped for the last time."""

    born: int = -400
    comes: int = -4
    restarts: int = 1000
    ends: int = 1000
    lost: bool = False
    """Its scrape target stays, and is down."""
    calls: float = 0.0
    timeouts: float = 0.0
    """What its counters of MCP calls show from the beginning."""

    def up(self, step: int) -> float | None:
        """Sample of its scrape target."""
        if self.comes <= step <= self.ends:
            return 1.0
        return 0.0 if self.lost and step > self.ends else None


COMES, RESTARTS, ENDS = Second(born=-5, comes=5), Second(restarts=10), Second(ends=12)


def decided(
    second: Second, policy: Policy | None = None, *, start_time: bool = False, every: float = math.inf
) -> GateWatch:
    """A window with requests that succeed and an MCP call `every` so many steps, on a pod that stays and a second."""
    watch = GateWatch(Setup(start=START, policy=policy or Policy(), counted=(ERRORS, TIMEOUTS), skew_s=0.0))
    for step in range(-4, 100):
        if watch.over:
            break
        at = START + step * STEP_S
        canary: dict[str, dict[str, dict[float, float]]] = {}
        for signal, key, value in samples(step, second, start_time=start_time, every=every):
            canary.setdefault(signal, {})[key] = {at: value}
        baseline = {"requests": {"code=200,instance=s:1": {at: 1e6 + 600.0 * step}}}
        watch.advance(ObservedStep(at, None, {"canary": canary, "baseline": baseline}, ()))
    return watch


def samples(step: int, second: Second, *, start_time: bool, every: float) -> Iterator[tuple[str, str, float]]:
    """Signal, series key and value of the canary's pods at a step."""
    began = second.restarts if step >= second.restarts else second.born
    pods = [("a:1", 1.0, -400, Second())]
    if (up := second.up(step)) is not None:
        pods.append(("b:1", up, began, second))
    for name, up, born, pod in pods:
        yield UP, f"instance={name}", up
        if not up:
            continue
        yield "requests", f"code=200,instance={name}", 150.0 * (step - born)
        yield "request_errors", f"code=500,instance={name}", 0.0
        yield "mcp_calls", f"instance={name},outcome=ok", pod.calls - pod.timeouts + (step - born) // every
        yield "mcp_calls", f"instance={name},outcome=timeout", pod.timeouts
        yield "mcp_timeouts", f"instance={name},outcome=timeout", pod.timeouts
        if start_time:
            yield PROCESS_START, f"instance={name}", START + born * STEP_S


@pytest.mark.parametrize("start_time", [True, False], ids=["start time", "no start time"])
@pytest.mark.parametrize("every", [math.inf, 20, 10, 5, 1], ids="call every {} steps".format)
@pytest.mark.parametrize("second", [COMES, RESTARTS, ENDS], ids=["comes", "restarts", "ends"])
def test_a_healthy_canary_with_few_mcp_calls_is_promoted(second: Second, every: float, *, start_time: bool) -> None:
    """A limit that can only roll back has too little to judge by: it is no reason to hold."""
    decision = decided(second, every=every, start_time=start_time).decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons
    assert "too few to judge" in decision.reasons[1]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (Second(ends=74, lost=True), "missing canary instance b:1: .*; no process was seen for long enough"),
        (Second(comes=5, calls=21.0), "mcp_calls already at 21 in its first scrape"),
        (Second(comes=5, calls=2.0, timeouts=1.0), "mcp_calls already at 2 in its first scrape"),
    ],
    ids=["lost", "more than a tenth of what it takes to judge", "some of it bad"],
)
def test_what_may_hide_calls_that_matter_still_holds(second: Second, reason: str) -> None:
    """A pod that is gone without a trace, or that had counted many calls, or bad ones, at an unknown time."""
    decision = decided(second, TO_THE_END).decision
    assert decision.outcome is GateOutcome.HOLD, decision.reasons
    assert re.match(f"mcp_timeouts: .*{reason}", decision.reasons[0]), decision.reasons


@pytest.mark.parametrize(
    ("every", "reason"), [(math.inf, "no process was seen for long enough"), (20, "of mcp_calls unseen, limit <= 10%")]
)
def test_a_window_of_before_is_replayed_as_it_was_decided(every: float, reason: str) -> None:
    """A tenth of what was seen was the limit then, and an idle process none that had been seen."""
    decision = decided(ENDS, EARLIER, every=every).decision
    assert decision.outcome is GateOutcome.HOLD
    assert reason in decision.reasons[0]
