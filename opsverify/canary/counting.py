"""Counting of a window: canary and baseline, every criterion, and how much of them was seen.

The statement that it follows is in `series_growth`.
"""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from opsverify.canary.criterion_count import CriterionCount
from opsverify.canary.duplicates import Duplicates, ReadInTurn
from opsverify.canary.fault import Fault
from opsverify.canary.instance import Instance, InstanceStatus
from opsverify.canary.instances import Instances
from opsverify.canary.progress import Counts
from opsverify.canary.same_series import SameSeries
from opsverify.canary.scopes_apart import ScopesApart
from opsverify.canary.series_growth import GrowthTally
from opsverify.canary.silence import rate, silence_of_all, silence_text, silent_instances
from opsverify.canary.unseen import fell_text, invalid_text, label, missing_text, stale_text
from opsverify.canary.window_setup import BASELINE, CANARY, LLM_COST, REQUESTS
from opsverify.language.message import say
from opsverify.metrics.coverage import coverage
from opsverify.units import duration, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.canary.observation import ObservedStep
    from opsverify.canary.unseen import Unseen
    from opsverify.canary.window_setup import Setup

SCOPES: Final = (CANARY, BASELINE)
_TOTALS: Final = (REQUESTS, LLM_COST)
_LEAST_SCRAPES: Final = 3
"""Scrapes in the shortest window that can be judged."""
_TAKEOVER_SCRAPES: Final = 4
"""Scrapes after an instance's last one in which its traffic is looked for at the others."""


class Counting:
    """Counts of canary and baseline by criterion, advanced with every answered step."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.at = setup.start
        self._answered = False
        self.instances = {scope: Instances.of_setup(setup) for scope in SCOPES}
        self._criteria = {
            scope: [CriterionCount(one, self.instances[scope], setup.policy) for one in setup.counted]
            for scope in SCOPES
        }
        self._totals = {
            (scope, name): GrowthTally((name,), self.instances[scope]) for scope in SCOPES for name in _TOTALS
        }
        by_value = setup.policy.finds_scrapers
        self._duplicates = {scope: Duplicates(_TOTALS, setup.instance_label, by_value=by_value) for scope in SCOPES}
        self._in_turn = {scope: ReadInTurn(self.instances[scope]) for scope in SCOPES}
        if setup.policy.strict_series:
            for (scope, _), tally in self._totals.items():
                tally.left_out = self._duplicates[scope].left_out
        self._same = SameSeries(setup.alike)
        self._apart = ScopesApart()
        self._grown: dict[tuple[str, str], list[float]] = {}
        self._unseen: dict[int, tuple[float, tuple[Unseen, ...]]] = {}
        self._alive: tuple[str, ...] = ()
        self._silence: tuple[str, ...] | None = None

    def advance(self, step: ObservedStep) -> dict[str, list[Counts]]:
        """Add one answered step: counts by scope, and by criterion in the setup's order."""
        self.wait(step.at)
        self._answered = True
        found = {}
        for scope in SCOPES:
            signals = step.samples.get(scope, {})
            self.instances[scope].add(signals, step.at, step.earlier.get(scope, {}))
            self._same.add(scope, signals)
            if self._setup.policy.strict_series:
                self._apart.add(scope, signals)
                self._duplicates[scope].add(signals)
                self._in_turn[scope].add(REQUESTS, signals.get(REQUESTS, {}))
            for name in _TOTALS:
                grown = self._totals[scope, name].advance(signals).known.get(name, 0.0)
                self._grown.setdefault((scope, name), []).append(grown)
            found[scope] = [criterion.advance(signals) for criterion in self._criteria[scope]]
        return found

    def wait(self, at: float) -> None:
        """Time goes on without an answer."""
        self.at = max(self.at, at)
        self._unseen.clear()
        self._silence = None

    @property
    def observed(self) -> bool:
        """Whether any request of the canary could be counted."""
        return any(one.counted for one in self.instances[CANARY].seen)

    @property
    def newest_s(self) -> float | None:
        """How old the canary's newest sample was when the window began; None without any."""
        newest = max((one.last for one in self.instances[CANARY].all.values() if one.scrapes), default=None)
        return None if newest is None else self._setup.start - newest

    @property
    def missing(self) -> tuple[str, ...]:
        """Canary instances that are not scraped, and not known to have ended."""
        lost = [one for one in self.instances[CANARY].seen if self.status(CANARY, one) is InstanceStatus.LOST]
        return (*(missing_text(one, self.at) for one in lost), *self._too_seldom())

    def _too_seldom(self) -> Iterator[str]:
        """That a window has too few scrapes for its coverage, which no longer wait would change."""
        seen, window_s = self.instances[CANARY].seen, self._setup.policy.longest_s
        gaps = [later - earlier for one in seen for earlier, later in pairwise(one.scrapes)]
        if gaps and median(gaps) * _LEAST_SCRAPES > window_s:
            yield say(
                "the canary is scraped every {rhythm}, too seldom for a window of {window}; scrape more often, or "
                "observe longer (--window)",
                rhythm=duration(round(median(gaps))),
                window=duration(window_s),
            )

    @property
    def restarts(self) -> tuple[str, ...]:
        """Restarts of canary processes in the window; those of one endpoint in one scrape are one."""
        found: dict[tuple[str, float], str] = {}
        for one in self.instances[CANARY].seen:
            for at, _ in one.restarts(self._setup.start, math.inf):
                clock = f"{dt.datetime.fromtimestamp(at, dt.UTC):%H:%M:%S}Z"
                found.setdefault((one.endpoint, at), say("{name} at {clock}", name=label(one), clock=clock))
        return tuple(found[place] for place in sorted(found, key=lambda place: place[1]))

    @property
    def coverage(self) -> float:
        """Share of the canary's time so far that was observed, 0..1: of the clock's, and of its instances' together."""
        start, end = self._setup.start, self._setup.start + self._elapsed_s
        seen = [one for one in self.instances[CANARY].seen if one.counted]
        if end <= start or not seen:
            return 0.0
        policy, scope = self._setup.policy, self.instances[CANARY]
        moments = {at for one in seen for at in one.counted}
        usual = max(2 * policy.step_s, min(2 * scope.rhythm_s, policy.tolerated_s))
        shares = [coverage(moments, start, end, usual).share]
        missing = observed = 0.0
        for one in seen:
            begun = max(start, one.first)
            ended = min(end, one.counted[-1] if self.status(CANARY, one) is InstanceStatus.ENDED else end)
            if ended > begun:
                gap_s = scope.usual_gap_s(one, policy.step_s, policy.tolerated_s)
                missing += coverage(one.counted, begun, ended, gap_s).missing_s
                observed += ended - begun
        return min([*shares, max(0.0, 1 - missing / observed) if observed else 0.0])

    def status(self, scope: str, one: Instance) -> InstanceStatus:
        """Whether an instance goes on: by its scrapes, its scrape target, or where its traffic went."""
        instances, policy = self.instances[scope], self._setup.policy
        newest = max((other.last for other in instances.all.values() if other.scrapes), default=self.at)
        late_s = one.late_s(policy.step_s) if policy.awaits_late else 0.0
        if max(self.at, newest) - one.last <= instances.usual_gap_s(one, policy.step_s, policy.tolerated_s) + late_s:
            return InstanceStatus.ALIVE
        if instances.up_known() and one.up_at > -math.inf:
            return InstanceStatus.ENDED if instances.target_gone(one) else InstanceStatus.LOST
        return InstanceStatus.ENDED if self._taken_over(scope, one) else InstanceStatus.LOST

    def faults(self, number: int) -> Iterator[Fault]:
        """Why a criterion cannot be decided."""
        if not self._answered:
            return
        criterion, policy = self._criteria[CANARY][number], self._setup.policy
        counted = self._setup.counted[number]
        if self._apart.text is not None:
            yield Fault(self._apart.text, distorts=self._apart.distorts)
        yield from map(Fault, self._same.texts((counted.bad, counted.trials)))
        yield from criterion.faults(self._setup.selectors.get(CANARY, {}), self._invalid_after_s)
        yield from map(Fault, self._in_turn[CANARY].texts)
        yield from criterion.unknown_values(self._criteria[BASELINE][number])
        # A baseline whose bad ones are counted elsewhere seems to share every breach; the canary's own stays proven.
        baseline, selectors = self._criteria[BASELINE][number], self._setup.selectors.get(BASELINE, {})
        for elsewhere in baseline.counted_elsewhere(selectors):
            yield Fault(say("baseline: {problem}", problem=elsewhere.text), distorts=False)
        yield from self._silences(number)
        fault = criterion.too_much_unseen(self._parts(number), policy.min_coverage)
        if fault is not None:
            yield fault

    def _silences(self, number: int) -> Iterator[Fault]:
        """What the canary, or one of its instances, should have counted and did not: what it counted stays valid."""
        if not self._setup.policy.awaits_growth:
            return
        if self._silence is None:
            requests, others = (self._totals[scope, REQUESTS] for scope in (CANARY, BASELINE))
            seen = self.instances[CANARY].seen
            self._alive = tuple(one.name for one in seen if self.status(CANARY, one) is InstanceStatus.ALIVE)
            found = silent_instances(requests, others, self._alive)
            self._silence = tuple(silence_text(REQUESTS, silence, instance) for instance, silence in found)
        tally, baseline = (self._criteria[scope][number].tally for scope in (CANARY, BASELINE))
        if (silence := silence_of_all(tally, baseline, self._alive)) is not None:
            yield Fault(silence_text(self._setup.counted[number].trials, silence), distorts=False)
        yield from (Fault(text, distorts=False) for text in self._silence)

    def unseen(self, number: int) -> Counts:
        """How many trials of the canary were not seen, at most, and how many of them to take for bad."""
        parts = self._parts(number)
        return Counts(math.fsum(one.bad for one in parts), math.fsum(max(one.trials, one.bad) for one in parts))

    def most_unseen(self, number: int) -> str:
        """What of the canary's unseen trials would be the most bad ones; empty where all was seen."""
        worst = max(self._parts(number), key=lambda one: (one.bad, one.trials), default=None)
        return worst.text if worst else ""

    def notes(self, number: int) -> tuple[str, ...]:
        """What to say with a criterion's measurement beside its counts."""
        found = []
        if self._setup.policy.warm_up_s:
            found.append(say("{time} of warm-up not judged", time=duration(self._setup.policy.warm_up_s)))
        most = self.unseen(number).trials
        seen = self._criteria[CANARY][number].trials
        if most and most >= 0.001 * seen:
            found.append(say("up to {share} unseen", share=quantity(most / (most + seen), "ratio")))
        return tuple(found)

    def signal_fault(self, scope: str, signal: str) -> str | None:
        """Why a signal of a scope is not valid now; None if it is."""
        tally = self._totals.get((scope, signal))
        if tally is None:
            return None
        for text in self._not_its_own(scope, signal, tally):
            return text
        total = self.grown(scope, signal) or 0.0
        for one, series, lag in tally.open_gaps():
            hidden = series.rate * lag
            limit = (1 - self._setup.policy.min_coverage) * (total + hidden)
            if hidden > limit or (series.busy and one.instance.last - series.seen > self._setup.policy.tolerated_s):
                return stale_text(series, lag)
        return None

    def _not_its_own(self, scope: str, signal: str, tally: GrowthTally) -> Iterator[str]:
        if self._apart.text is not None:
            yield self._apart.text
        yield from self._duplicates[scope].texts
        yield from self._in_turn[scope].texts
        yield from (invalid_text(series, lag) for series, lag in tally.invalid(self._invalid_after_s))
        yield from map(fell_text, tally.unlikely())
        yield from self._same.texts((signal,))

    def grown(self, scope: str, signal: str) -> float | None:
        """How much `requests` or `llm_cost` grew in a scope; None without any sample."""
        tally = self._totals.get((scope, signal))
        if tally is None or not any(one.series for one in tally.of.values()):
            return None
        return math.fsum(one.total[signal] for one in tally.of.values())

    def grown_by_step(self, scope: str, signal: str) -> tuple[float, ...]:
        """How much `requests` or `llm_cost` grew in a scope, by answered step."""
        return tuple(self._grown.get((scope, signal), ()))

    @property
    def _elapsed_s(self) -> float:
        return min(self.at - self._setup.start, self._setup.policy.longest_s)

    @property
    def _invalid_after_s(self) -> float:
        """Before the end there is time to wait for what is missing, and nothing is promoted early."""
        policy = self._setup.policy
        if self._elapsed_s >= policy.longest_s:
            return policy.tolerated_s
        return max(2 * policy.step_s, min(2 * self.instances[CANARY].rhythm_s, policy.tolerated_s))

    def _parts(self, number: int) -> tuple[Unseen, ...]:
        known = self._unseen.get(number)
        if known is None or known[0] != self.at:
            criterion = self._criteria[CANARY][number]
            known = (self.at, criterion.unseen(lambda one: self.status(CANARY, one), self.at))
            self._unseen[number] = known
        return known[1]

    def _taken_over(self, scope: str, gone: Instance) -> bool:
        """Whether the traffic of an instance went to the others after its last scrape: then it has ended."""
        tally = self._totals[scope, REQUESTS]
        one = tally.of.get(gone.name)
        rhythm = gone.rhythm_s or self.instances[scope].rhythm_s
        if one is None or not rhythm or not one.history:
            return False
        span = _TAKEOVER_SCRAPES * rhythm
        before = (max(min(one.history[0][0], self._setup.start), gone.last - 5 * span), gone.last)
        after = (gone.last + rhythm, min(self.at, gone.last + 6 * span))
        own = rate(tally, before, only=gone.name)
        if after[1] - after[0] < span or not own:
            return False
        other_scope = self._totals[BASELINE if scope == CANARY else CANARY, REQUESTS]
        was, now = rate(other_scope, before), rate(other_scope, after)
        change = now / was if was and now else 1.0
        return rate(tally, after) >= rate(tally, before) * min(1.0, change) - own / 2
