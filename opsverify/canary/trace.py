"""Trace of a window: value, bound and evidence of every criterion after each step, and what happened when.

Worked out from the observation by the gate's own watch; nothing of it is used to decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from opsverify.canary.decision import GateOutcome
from opsverify.canary.instances import Instances
from opsverify.canary.watch import GateWatch
from opsverify.canary.window_setup import CANARY
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opsverify.canary.assessment import CriterionState
    from opsverify.canary.decision import GateDecision
    from opsverify.canary.instance import Instance
    from opsverify.canary.observation import ObservedStep
    from opsverify.canary.policy import GateCriterion
    from opsverify.canary.window_setup import Setup


class EventKind(StrEnum):
    """What happened to the canary in its window."""

    CAME = "pod came"
    WENT = "pod went"
    RESTART = "restart"
    GAP = "gap"
    ALERT = "alert"
    DECISION = "decision"


@dataclass(frozen=True)
class TracePoint:
    """One criterion after a step, `at_s` seconds into the window; logs are natural.

    `share` and `bound` (the share proven not to be reached) are of bad ones; `breach` is the most evidence of a breach
    so far, `below` the evidence now of being below the limit.
    """

    at_s: float
    share: float | None
    bound: float
    breach: float
    below: float
    trials: float
    state: CriterionState


@dataclass(frozen=True)
class CriterionTrace:
    """All points of one criterion, and the evidence at which breach and absence of one are proven."""

    criterion: GateCriterion
    points: tuple[TracePoint, ...]
    breach_needed: float
    below_needed: float

    def since(self, state: CriterionState) -> float | None:
        """Seconds into the window from which on the criterion was in `state` to the end; None where it is not."""
        found = None
        for point in reversed(self.points):
            if point.state is not state:
                break
            found = point.at_s
        return found


@dataclass(frozen=True)
class TraceEvent:
    """One event, `at_s` seconds into the window."""

    at_s: float
    kind: EventKind
    text: str


@dataclass(frozen=True)
class WindowTrace:
    """A window as a picture needs it; `watch` is as it was when the decision was made."""

    watch: GateWatch
    criteria: tuple[CriterionTrace, ...]
    events: tuple[TraceEvent, ...]

    @property
    def decision(self) -> GateDecision:
        """What the gate decided."""
        return self.watch.decision

    @property
    def length_s(self) -> float:
        """Seconds of the time axis."""
        return max(self.watch.elapsed_s, self.watch.setup.policy.step_s)


class WindowTracer:
    """The trace of a window while it is observed: each step is taken in once, up to the decision."""

    def __init__(self, setup: Setup) -> None:
        self._watch = GateWatch(setup)
        self._points: list[list[TracePoint]] = [[] for _ in setup.counted]
        self._instances = Instances.of_setup(setup)
        self._events: list[TraceEvent] = []
        self._alerts: set[str] = set()
        self._failing = False

    def advance(self, step: ObservedStep) -> None:
        """Take in the next step; one after the decision changes nothing."""
        watch = self._watch
        if watch.over:
            return
        watch.advance(step)
        for found, one in zip(self._points, watch.decision.assessments, strict=True):
            found.append(
                TracePoint(
                    watch.elapsed_s,
                    one.share,
                    one.upper_bound if one.trials else 1.0,
                    one.log_e_breach,
                    one.log_e_below,
                    one.trials,
                    one.state,
                )
            )
        at_s = max(0.0, step.at - watch.setup.start)
        if step.fault is not None and not self._failing:
            self._events.append(TraceEvent(at_s, EventKind.GAP, say("no answer: {fault}", fault=step.fault)))
        self._failing = step.fault is not None
        self._events += [
            TraceEvent(at_s, EventKind.ALERT, say("alert {name} fires", name=name))
            for name in step.alerts
            if name not in self._alerts
        ]
        self._alerts |= set(step.alerts)
        self._instances.add(step.samples.get(CANARY, {}))

    def trace(self) -> WindowTrace:
        """The trace so far; it is good until the next step."""
        setup, policy = self._watch.setup, self._watch.setup.policy
        criteria = tuple(
            CriterionTrace(
                counted.criterion,
                tuple(found),
                -math.log(policy.alpha / len(setup.counted)),
                -math.log(policy.beta),
            )
            for counted, found in zip(setup.counted, self._points, strict=True)
        )
        events = sorted((*self._events, *self._at_last()), key=lambda event: event.at_s)
        return WindowTrace(self._watch, criteria, tuple(events))

    def _at_last(self) -> Iterator[TraceEvent]:
        """Events that the next step may change: of pods, and the decision."""
        watch = self._watch
        for one in self._instances.seen:
            yield from _of_instance(self._instances, one, watch)
        if watch.decision.outcome is not GateOutcome.CONTINUE:
            outcome = watch.decision.outcome.value
            yield TraceEvent(watch.elapsed_s, EventKind.DECISION, say("decision: {outcome}", outcome=outcome))


def trace(setup: Setup, steps: Iterable[ObservedStep]) -> WindowTrace:
    """The trace of a window up to its decision."""
    tracer = WindowTracer(setup)
    for step in steps:
        tracer.advance(step)
    return tracer.trace()


def _of_instance(instances: Instances, one: Instance, watch: GateWatch) -> Iterator[TraceEvent]:
    policy, start, end = watch.setup.policy, watch.setup.start, watch.at
    usual = instances.usual_gap_s(one, policy.step_s, policy.tolerated_s)
    name = one.name or "?"
    if one.first > start:
        yield TraceEvent(one.first - start, EventKind.CAME, say("pod {name}: first scrape", name=name))
    if end - one.last > usual:
        text = say("pod {name}: last scrape", name=name)
        yield TraceEvent(max(0.0, one.last - start), EventKind.WENT, text)
    for at, _ in one.restarts(start, end):
        yield TraceEvent(at - start, EventKind.RESTART, say("pod {name}: restarted", name=name))
    for before, after in zip(one.scrapes, one.scrapes[1:], strict=False):
        if after > start and after - before > usual:
            text = say("pod {name}: no samples for {seconds:.0f} s", name=name, seconds=after - before)
            yield TraceEvent(max(0.0, before - start), EventKind.GAP, text)
