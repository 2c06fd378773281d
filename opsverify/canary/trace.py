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
    from collections.abc import Iterator, Sequence

    from opsverify.canary.assessment import CriterionState
    from opsverify.canary.decision import GateDecision
    from opsverify.canary.instances import Instance
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


def trace(setup: Setup, steps: Sequence[ObservedStep]) -> WindowTrace:
    """The trace of a window up to its decision."""
    watch = GateWatch(setup)
    points: list[list[TracePoint]] = [[] for _ in setup.counted]
    seen: list[ObservedStep] = []
    for step in steps:
        watch.advance(step)
        seen.append(step)
        for found, one in zip(points, watch.decision.assessments, strict=True):
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
        if watch.over:
            break
    policy = setup.policy
    criteria = tuple(
        CriterionTrace(
            counted.criterion,
            tuple(found),
            -math.log(policy.alpha / len(setup.counted)),
            -math.log(policy.beta),
        )
        for counted, found in zip(setup.counted, points, strict=True)
    )
    events = sorted(_events(watch, seen), key=lambda event: event.at_s)
    return WindowTrace(watch, criteria, tuple(events))


def _events(watch: GateWatch, steps: Sequence[ObservedStep]) -> Iterator[TraceEvent]:
    setup = watch.setup
    instances = Instances(setup.start, setup.instance_label)
    alerts: set[str] = set()
    failed: ObservedStep | None = None
    for step in steps:
        at_s = max(0.0, step.at - setup.start)
        if step.fault is not None and failed is None:
            yield TraceEvent(at_s, EventKind.GAP, say("no answer: {fault}", fault=step.fault))
        failed = step if step.fault is not None else None
        for name in step.alerts:
            if name not in alerts:
                yield TraceEvent(at_s, EventKind.ALERT, say("alert {name} fires", name=name))
        alerts |= set(step.alerts)
        instances.add(step.samples.get(CANARY, {}))
    for one in instances.seen:
        yield from _of_instance(instances, one, watch)
    if watch.decision.outcome is not GateOutcome.CONTINUE:
        outcome = watch.decision.outcome.value
        yield TraceEvent(watch.elapsed_s, EventKind.DECISION, say("decision: {outcome}", outcome=outcome))


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
