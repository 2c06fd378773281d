"""Watch of a canary window: pure, advanced step by step, with a decision at every step.

The observer advances it as samples arrive, a replay from the evidence file; both reach the same decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from opsverify.canary.alert_watch import AlertWatch
from opsverify.canary.assessment import shares_breach
from opsverify.canary.counting import Counting
from opsverify.canary.decision import GateDecision, GateOutcome, WindowState, decide
from opsverify.canary.earlier_counting import EarlierCounting
from opsverify.canary.fault import Fault
from opsverify.canary.progress import NOTHING, Progress
from opsverify.canary.shared_breach import follow
from opsverify.canary.window_setup import BASELINE, CANARY, MOST_SKEW_S, REQUESTS, RULE
from opsverify.language.message import as_message, say
from opsverify.units import duration, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opsverify.canary.assessment import Assessment
    from opsverify.canary.observation import ObservedStep
    from opsverify.canary.progress import Counts
    from opsverify.canary.window_setup import Setup

SCOPES: Final = (CANARY, BASELINE)


class _Counting(Protocol):
    """What is counted of a window; `counting` or, for files of earlier versions, `earlier_counting`."""

    @property
    def observed(self) -> bool: ...
    @property
    def coverage(self) -> float: ...
    @property
    def newest_s(self) -> float | None: ...
    @property
    def missing(self) -> tuple[str, ...]: ...
    @property
    def restarts(self) -> tuple[str, ...]: ...
    def advance(self, step: ObservedStep) -> dict[str, list[Counts]]: ...
    def wait(self, at: float) -> None: ...
    def faults(self, number: int) -> Iterator[Fault]: ...
    def unseen(self, number: int) -> Counts: ...
    def most_unseen(self, number: int) -> str: ...
    def notes(self, number: int) -> tuple[str, ...]: ...
    def signal_fault(self, scope: str, signal: str) -> str | None: ...
    def grown(self, scope: str, signal: str) -> float | None: ...
    def grown_by_step(self, scope: str, signal: str) -> tuple[float, ...]: ...


class GateWatch:
    """Everything observed of a window, and the `decision` that follows."""

    def __init__(self, setup: Setup) -> None:
        if not setup.counted:
            raise ValueError("a gate without criteria decides nothing")
        self.setup = setup
        self.steps = 0
        self.answered = 0
        self.at = setup.start
        self._faults: dict[str, str] = {}
        policy = setup.policy
        self.alert_watch = AlertWatch(setup.start, policy.waits_for_alerts_s, goes_on=policy.alerts_go_on)
        self.counting: _Counting = Counting(setup) if setup.rule == RULE else EarlierCounting(setup)
        self._progress = [Progress(counted.criterion, setup.policy) for counted in setup.counted]
        self._decision: GateDecision | None = None

    @classmethod
    def replayed(cls, setup: Setup, steps: Iterable[ObservedStep]) -> GateWatch:
        """The watch after all of `steps`."""
        watch = cls(setup)
        for step in steps:
            watch.advance(step)
        return watch

    def advance(self, step: ObservedStep) -> None:
        """Add one step; one that failed loses nothing, for counters are cumulative."""
        self._decision = None
        self.at = max(self.at, step.at)
        # The first step only anchors the counters: what grows afterwards belongs to the window.
        counts = [[NOTHING] * len(self._progress)] * len(SCOPES)
        if step.fault is not None:
            self._note(step.fault)
            self.counting.wait(step.at)
        else:
            self.answered += 1
            self.alert_watch.advance(step)
            found = self.counting.advance(step)
            counts = [found[scope] for scope in SCOPES]
        if self.steps:
            for progress, canary, baseline in zip(self._progress, *counts, strict=True):
                progress.advance(canary, baseline)
                if self.setup.rule == RULE:
                    shared = shares_breach(progress, self.setup.policy, len(self._progress))
                    follow(progress, self.setup.policy, len(self._progress), shared=shared)
        self.steps += 1

    @property
    def decision(self) -> GateDecision:
        """What to do now, and why."""
        if self._decision is None:
            common = tuple(self._common_faults())
            for number, progress in enumerate(self._progress):
                fault = next(self._faults_of(number, common), None)
                progress.fault, progress.distorted = (fault.text, fault.distorts) if fault else (None, False)
                progress.unseen = self.counting.unseen(number)
                progress.most_unseen = self.counting.most_unseen(number)
                progress.notes = (*self.counting.notes(number), *self._left_out(progress))
            self._decision = decide(self.setup.policy, self._progress, self.window)
        return self._decision

    @property
    def window(self) -> WindowState:
        """What the decision depends on beside the criteria."""
        alerts = self.alert_watch
        return WindowState(
            self.elapsed_s, self.coverage, alerts.fired, self.gaps, alerts.earlier, self.counting.restarts
        )

    @property
    def progress(self) -> tuple[Progress, ...]:
        """Counts and evidence of every criterion, in the setup's order."""
        return tuple(self._progress)

    @property
    def over(self) -> bool:
        """Whether the decision is final."""
        return self.decision.outcome is not GateOutcome.CONTINUE

    @property
    def elapsed_s(self) -> float:
        """Seconds watched so far, the longest window at most."""
        return min(self.at - self.setup.start, self.setup.policy.longest_s)

    @property
    def coverage(self) -> float:
        """Share of the time so far in which the canary was scraped, 0..1."""
        return self.counting.coverage

    @property
    def alerts(self) -> tuple[str, ...]:
        """Every alert of the canary that fired."""
        return self.alert_watch.names

    @property
    def faults(self) -> tuple[str, ...]:
        """Why steps gave no samples, each cause once."""
        return tuple(self._faults.values())

    @property
    def gaps(self) -> tuple[str, ...]:
        """Why steps or instances gave no samples, each reason once."""
        if self._faults or self.counting.observed:
            return (*self.faults, *self.counting.missing)
        newest_s = self.counting.newest_s
        if newest_s is not None and newest_s > 0:
            return (
                say(
                    "empty: no usable samples of the canary in the window: the newest one is {late:.0f} s late; "
                    "check that it is scraped, and what delays its samples (remote write, the clock of a scraper)",
                    late=newest_s,
                ),
            )
        return (say("empty: no usable samples of the canary's requests; check that it is scraped, and its scope"),)

    @property
    def traffic_share(self) -> float | None:
        """The canary's share of all requests; None without any."""
        canary, baseline = (self.grown(scope, REQUESTS) or 0.0 for scope in SCOPES)
        total = canary + baseline
        return canary / total if total else None

    def invalid_series(self, scope: str, signal: str) -> str | None:
        """Why a signal of a scope is not valid now; None if it is."""
        return self.counting.signal_fault(scope, signal)

    def grown(self, scope: str, signal: str) -> float | None:
        """How much `requests` or `llm_cost` grew in a scope; None without any sample."""
        return self.counting.grown(scope, signal)

    def grown_by_step(self, scope: str, signal: str) -> tuple[float, ...]:
        """How much `requests` or `llm_cost` grew in a scope, by answered step."""
        return self.counting.grown_by_step(scope, signal)

    def assessment(self, name: str) -> Assessment:
        """Assessment of one criterion; LookupError for an unknown one."""
        for assessment in self.decision.assessments:
            if assessment.criterion.name == name:
                return assessment
        raise LookupError(say("no criterion {name} was watched", name=name))

    @property
    def text(self) -> str:
        """One line: every criterion, the canary's share of the traffic, alerts."""
        share = self.traffic_share
        parts = [assessment.short_text for assessment in self.decision.assessments]
        parts.append(f"traffic {'-' if share is None else quantity(share, 'ratio')}")
        parts.append(f"alerts {', '.join(self.alerts) or 'none'}")
        return " | ".join(parts)

    def _left_out(self, progress: Progress) -> Iterator[str]:
        if progress.left_out:
            seconds = len(progress.left_out) * self.setup.policy.step_s
            yield say("{time} of a breach that the baseline shared left out", time=duration(round(seconds)))

    def _note(self, fault: str) -> None:
        """Keep why a step has no samples; of faults whose details (the query, a time) differ, their common cause."""
        message = as_message(fault)
        cause = message.cause
        self._faults[cause] = message if self._faults.get(cause, message) == message else cause

    def _faults_of(self, number: int, common: tuple[Fault, ...]) -> Iterator[Fault]:
        yield from self.counting.faults(number)
        yield from common

    def _common_faults(self) -> Iterator[Fault]:
        skew = self.setup.skew_s
        if skew is not None and abs(skew) > MOST_SKEW_S:
            yield Fault(
                say(
                    "clock skew: Prometheus' clock is {skew:+.0f} s off, limit {limit:.0f} s; use NTP",
                    skew=skew,
                    limit=MOST_SKEW_S,
                ),
                distorts=False,
            )
