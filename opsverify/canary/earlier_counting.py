"""Earlier counting (rule 2): how windows were counted whose files say so; a replay makes the decision of that time.

Restarts, missing instances and instances with an unknown past hold. New windows are counted by `counting`.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from opsverify.canary.earlier_scrapes import ScrapeState
from opsverify.canary.earlier_tally import CriterionTally, invalid_series
from opsverify.canary.fault import Fault
from opsverify.canary.progress import NOTHING
from opsverify.canary.window_setup import BASELINE, CANARY, LLM_COST, REQUESTS
from opsverify.metrics.counters import Tally
from opsverify.metrics.coverage import coverage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.canary.observation import ObservedStep
    from opsverify.canary.progress import Counts
    from opsverify.canary.window_setup import Setup

SCOPES = (CANARY, BASELINE)
_TOTALS = (REQUESTS, LLM_COST)
_LEAST_SCRAPES = 4
"""Scrapes from which on their interval is known."""


class EarlierCounting:
    """Counts of canary and baseline by criterion, as of rule 2; the interface of `counting.Counting`."""

    restarts: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    newest_s: float | None = None

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.at = setup.start
        self._scrapes = {scope: ScrapeState(setup.start) for scope in SCOPES}
        self._tallies_of: dict[str, list[CriterionTally]] = {}
        self._totals: dict[tuple[str, str], Tally] = {}
        self._grown: dict[tuple[str, str], list[float]] = {}

    def advance(self, step: ObservedStep) -> dict[str, list[Counts]]:
        """Add one answered step: counts by scope, and by criterion in the setup's order."""
        self.at = max(self.at, step.at)
        return {scope: self._absorb(scope, step) for scope in SCOPES}

    def wait(self, at: float) -> None:
        """Time goes on without an answer."""
        self.at = max(self.at, at)

    @property
    def observed(self) -> bool:
        """Whether any request of the canary could be counted."""
        return bool(self._scrapes[CANARY].moments)

    @property
    def coverage(self) -> float:
        """Share of the time so far in which the canary was scraped, 0..1."""
        end = self._setup.start + self._elapsed_s
        if end <= self._setup.start:
            return 0.0
        return coverage(self._scrapes[CANARY].moments, self._setup.start, end, self._usual_gap_s).share

    def faults(self, number: int) -> Iterator[Fault]:
        """Why a criterion cannot be decided."""
        if CANARY in self._tallies_of:
            selectors = self._setup.selectors.get(CANARY, {})
            yield from self._tallies_of[CANARY][number].faults(selectors, self._stale_after_s)
        canary = self._scrapes[CANARY]
        for instance in canary.missing(self._stale_after_s):
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

    def unseen(self, number: int) -> Counts:  # noqa: ARG002 - the interface
        """Nothing: what is unseen is a fault."""
        return NOTHING

    def most_unseen(self, number: int) -> str:  # noqa: ARG002 - the interface
        """Nothing."""
        return ""

    def notes(self, number: int) -> tuple[str, ...]:  # noqa: ARG002 - the interface
        """Nothing to say beside the faults."""
        return ()

    def signal_fault(self, scope: str, signal: str) -> str | None:
        """Why a signal of a scope is not valid now; None if it is."""
        fault = next(invalid_series(self._scrapes[scope], (signal,), self._stale_after_s), None)
        return fault.text if fault else None

    def grown(self, scope: str, signal: str) -> float | None:
        """How much `requests` or `llm_cost` grew in a scope; None without any sample."""
        tally = self._totals.get((scope, signal))
        return tally.total if self._scrapes[scope].latest.get(signal) and tally else None

    def grown_by_step(self, scope: str, signal: str) -> tuple[float, ...]:
        """How much `requests` or `llm_cost` grew in a scope, by answered step."""
        return tuple(self._grown.get((scope, signal), ()))

    @property
    def _elapsed_s(self) -> float:
        return min(self.at - self._setup.start, self._setup.policy.longest_s)

    @property
    def _usual_gap_s(self) -> float:
        policy = self._setup.policy
        gaps = [later - earlier for earlier, later in pairwise(sorted(self._scrapes[CANARY].moments))]
        rhythm = median(gaps) if len(gaps) >= _LEAST_SCRAPES else 0.0
        return max(2 * policy.step_s, min(2 * rhythm, policy.tolerated_s))

    @property
    def _stale_after_s(self) -> float:
        policy = self._setup.policy
        return policy.tolerated_s if self._elapsed_s >= policy.longest_s else self._usual_gap_s

    def _absorb(self, scope: str, step: ObservedStep) -> list[Counts]:
        scrapes, signals = self._scrapes[scope], step.samples.get(scope, {})
        scrapes.add(signals)
        if scope not in self._tallies_of:
            self._tallies_of[scope] = [CriterionTally(one, scrapes, step.at) for one in self._setup.counted]
            self._totals |= {(scope, name): Tally(self._setup.start, step.at) for name in _TOTALS}
        for name in _TOTALS:
            grown = self._totals[scope, name].advance(signals.get(name, {}), scrapes.instances)
            self._grown.setdefault((scope, name), []).append(grown)
        return [counter.advance(signals) for counter in self._tallies_of[scope]]
