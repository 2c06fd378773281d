"""Watch of a canary window: pure, advanced step by step, with a decision at every step.

The observer advances it as samples arrive, a replay from the evidence file; both reach the same decision.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from opsverify.canary.assessment import NOTHING, Progress
from opsverify.canary.decision import GateDecision, GateOutcome, WindowState, decide
from opsverify.canary.scrape_state import ScrapeState
from opsverify.canary.tally import CriterionTally, Fault, invalid_series
from opsverify.canary.window_setup import BASELINE, CANARY, LLM_COST, MOST_SKEW_S, REQUESTS
from opsverify.metrics.counters import Tally, coverage
from opsverify.units import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opsverify.canary.assessment import Assessment, Counts
    from opsverify.canary.observation import ObservedStep
    from opsverify.canary.window_setup import Setup

SCOPES: Final = (CANARY, BASELINE)
_TOTALS: Final = (REQUESTS, LLM_COST)
_LEAST_SCRAPES = 4
"""Scrapes from which on their interval is known."""


class GateWatch:
    """Everything observed of a window, and the `decision` that follows."""

    def __init__(self, setup: Setup) -> None:
        if not setup.counted:
            raise ValueError("a gate without criteria decides nothing")
        self.setup = setup
        self.steps = 0
        self.answered = 0
        self.at = setup.start
        self.faults: dict[str, None] = {}
        self.alerts: dict[str, None] = {}
        self.scrapes = {scope: ScrapeState(setup.start) for scope in SCOPES}
        self._progress = [Progress(counted.criterion, setup.policy) for counted in setup.counted]
        self._tallies_of: dict[str, list[CriterionTally]] = {}
        self._totals: dict[tuple[str, str], Tally] = {}
        self._grown: dict[tuple[str, str], list[float]] = {}
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
        self.alerts |= dict.fromkeys(step.alerts)
        # The first step only anchors the counters: what grows afterwards belongs to the window.
        counts = [[NOTHING] * len(self._progress)] * len(SCOPES)
        if step.fault is not None:
            self.faults[step.fault] = None
        else:
            self.answered += 1
            counts = [self._absorb(scope, step) for scope in SCOPES]
        if self.steps:
            for progress, canary, baseline in zip(self._progress, *counts, strict=True):
                progress.advance(canary, baseline)
        self.steps += 1

    @property
    def decision(self) -> GateDecision:
        """What to do now, and why."""
        if self._decision is None:
            common = tuple(self._common_faults())
            for number, progress in enumerate(self._progress):
                fault = next(self._faults_of(number, common), None)
                progress.fault, progress.distorted = (fault.text, fault.distorts) if fault else (None, False)
            window = WindowState(self.elapsed_s, self.coverage, tuple(self.alerts), self.gaps)
            self._decision = decide(self.setup.policy, self._progress, window)
        return self._decision

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
        end = self.setup.start + self.elapsed_s
        if end <= self.setup.start:
            return 0.0
        moments = self.scrapes[CANARY].moments
        return coverage(moments, self.setup.start, end, self.usual_gap_s).share

    @property
    def gaps(self) -> tuple[str, ...]:
        """Why steps gave no samples, each reason once."""
        if self.faults or self.scrapes[CANARY].moments:
            return tuple(self.faults)
        return ("empty: no usable samples of the canary's requests; check that it is scraped, and its scope",)

    @property
    def usual_gap_s(self) -> float:
        """Seconds between samples that are no gap: two steps, or two scrapes where these are rarer."""
        policy = self.setup.policy
        gaps = [later - earlier for earlier, later in pairwise(sorted(self.scrapes[CANARY].moments))]
        rhythm = median(gaps) if len(gaps) >= _LEAST_SCRAPES else 0.0
        return max(2 * policy.step_s, min(2 * rhythm, self.tolerated_s))

    @property
    def stale_after_s(self) -> float:
        """Seconds without a sample after which a series is stale now.

        At the end a gap counts like an outage; before it there is time to wait for what is missing, and nothing
        is promoted early.
        """
        return self.tolerated_s if self.elapsed_s >= self.setup.policy.longest_s else self.usual_gap_s

    @property
    def tolerated_s(self) -> float:
        """Seconds of the window that may be missing."""
        policy = self.setup.policy
        return max(2 * policy.step_s, (1 - policy.min_coverage) * policy.longest_s)

    @property
    def traffic_share(self) -> float | None:
        """The canary's share of all requests; None without any."""
        canary, baseline = (self.grown(scope, REQUESTS) or 0.0 for scope in SCOPES)
        total = canary + baseline
        return canary / total if total else None

    def invalid_series(self, scope: str, signal: str) -> str | None:
        """Why a signal of a scope is not valid now; None if it is."""
        fault = next(invalid_series(self.scrapes[scope], (signal,), self.stale_after_s), None)
        return fault.text if fault else None

    def grown(self, scope: str, signal: str) -> float | None:
        """How much `requests` or `llm_cost` grew in a scope; None without any sample."""
        series = self.scrapes[scope].latest.get(signal)
        tally = self._totals.get((scope, signal))
        return tally.total if series and tally else None

    def grown_by_step(self, scope: str, signal: str) -> tuple[float, ...]:
        """How much `requests` or `llm_cost` grew in a scope, by answered step."""
        return tuple(self._grown.get((scope, signal), ()))

    def assessment(self, name: str) -> Assessment:
        """Assessment of one criterion; LookupError for an unknown one."""
        for assessment in self.decision.assessments:
            if assessment.criterion.name == name:
                return assessment
        raise LookupError(f"no criterion {name} was watched")

    @property
    def text(self) -> str:
        """One line: every criterion, the canary's share of the traffic, alerts."""
        share = self.traffic_share
        parts = [assessment.short_text for assessment in self.decision.assessments]
        parts.append(f"traffic {'-' if share is None else quantity(share, 'ratio')}")
        parts.append(f"alerts {', '.join(self.alerts) or 'none'}")
        return " | ".join(parts)

    def _absorb(self, scope: str, step: ObservedStep) -> list[Counts]:
        scrapes, signals = self.scrapes[scope], step.samples.get(scope, {})
        scrapes.add(signals)
        if scope not in self._tallies_of:
            self._tallies_of[scope] = [CriterionTally(one, scrapes, step.at) for one in self.setup.counted]
            self._totals |= {(scope, name): Tally(self.setup.start, step.at) for name in _TOTALS}
        for name in _TOTALS:
            grown = self._totals[scope, name].advance(signals.get(name, {}), scrapes.instances)
            self._grown.setdefault((scope, name), []).append(grown)
        return [counter.advance(signals) for counter in self._tallies_of[scope]]

    def _faults_of(self, number: int, common: tuple[Fault, ...]) -> Iterator[Fault]:
        if CANARY in self._tallies_of:
            counter = self._tallies_of[CANARY][number]
            yield from counter.faults(self.setup.selectors.get(CANARY, {}), self.stale_after_s)
        yield from common

    def _common_faults(self) -> Iterator[Fault]:
        canary = self.scrapes[CANARY]
        for instance in canary.missing(self.stale_after_s):
            yield Fault(
                f"missing canary instance {instance or '(no label)'}: not scraped while others are; check that it runs",
                distorts=False,
            )
        for instance in canary.restarted:
            yield Fault(
                f"canary instance {instance or '(no label)'} restarted in the window (counter reset): "
                "find the cause before it is promoted",
                distorts=False,
            )
        skew = self.setup.skew_s
        if skew is not None and abs(skew) > MOST_SKEW_S:
            yield Fault(
                f"clock skew: Prometheus' clock is {skew:+.0f} s off, limit {MOST_SKEW_S:.0f} s; use NTP",
                distorts=False,
            )
