"""Bad ones and trials of one criterion, look by look, and what makes them unfit to be judged.

Both come from the same scrapes: what one signal of an instance has beyond the others (a scrape stored between two
queries, a series that is NaN or has gone) waits until the others follow, so that no share is ever of different times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.canary.assessment import Counts
from opsverify.metrics.counters import Tally, instance_of, reason_against, scraped_twice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opsverify.canary.observation import Points
    from opsverify.canary.scrape_state import Exports, Newest
    from opsverify.canary.window_setup import Counted

_MOST_OWED = 0.01
"""Bad ones without a trial, as a share of the trials, that reading two counters one after the other can explain."""


@dataclass(frozen=True)
class Fault:
    """Why a criterion cannot be judged; `distorts`: not even what was counted can be trusted."""

    text: str
    distorts: bool = True


class Counter:
    """Counts one criterion in one scope."""

    def __init__(self, counted: Counted, exports: Exports, anchored_until: float) -> None:
        self._counted = counted
        self._exports = exports
        self._signals = (counted.bad, counted.trials)
        self._tallies = {name: Tally(exports.start, anchored_until) for name in self._signals}
        self._waiting: dict[str, dict[str, Points]] = {name: {} for name in self._signals}
        self._twice: dict[str, None] = {}
        self._owed = 0.0
        self._trials = 0.0

    def advance(self, signals: Mapping[str, Mapping[str, Points]]) -> Counts:
        """Take in the samples of one look (which `exports` has absorbed); what can be counted by now."""
        for name in self._signals:
            series = signals.get(name, {})
            twice = scraped_twice(sorted({*self._exports.newest.get(name, {}), *series}))
            self._twice |= dict.fromkeys(twice)
            for key in series.keys() - set(twice):
                usable = {at: value for at, value in series[key].items() if reason_against(value) is None}
                self._waiting[name].setdefault(key, {}).update(usable)
        cuts = self._cuts()
        grown = {name: self._grown(name, cuts) for name in self._signals}
        trials = grown[self._counted.trials]
        bad = grown[self._counted.bad]
        if self._counted.good_counted:
            bad = trials - bad
        self._owed += bad
        self._trials += trials
        paid = min(max(self._owed, 0.0), trials)
        self._owed -= paid
        return Counts(paid, trials)

    def faults(self, selectors: Mapping[str, str], tolerated_s: float) -> Iterator[Fault]:
        """Everything that is wrong now; gaps up to `tolerated_s` are not."""
        yield from self._absent(selectors)
        yield from unfit(self._exports, self._signals, tolerated_s)
        for key in self._twice:
            yield Fault(f"duplicate series {{{_shown(key)}}}: scraped by two jobs, its instance would count twice")
        for name in self._signals:
            for key in self._tallies[name].unanchored:
                yield Fault(
                    f"extra series {name} {{{_shown(key)}}}: appeared in mid-window with a past that nobody observed; "
                    "export process_start_time_seconds, or observe again",
                    distorts=False,
                )
        if abs(self._owed) > max(1.0, _MOST_OWED * self._trials):
            bad, trials = self._signals
            yield Fault(f"{bad} counts {abs(self._owed):,.0f} more than {trials}: check both in prometheus.signals")

    def _absent(self, selectors: Mapping[str, str]) -> Iterator[Fault]:
        bad, trials = self._counted.bad, self._counted.trials
        if not self._exports.newest.get(trials):
            yield Fault(_no_series(trials, selectors))
        elif not self._exports.newest.get(bad):
            if self._counted.good_counted:
                yield Fault(f"missing bucket: {_no_series(bad, selectors)}")
            elif not self._no_series_means_none(trials):
                yield Fault(_no_series(bad, selectors))

    def _no_series_means_none(self, trials: str) -> bool:
        picked = set(self._counted.picked_by)
        carried = {pair.partition("=")[0] for key in self._exports.newest[trials] for pair in key.split(",")}
        return bool(picked) and picked <= carried

    def _cuts(self) -> dict[str, float]:
        """Up to when every living series of an instance is known."""
        cuts: dict[str, float] = {}
        for (_, key), newest in self._exports.of(self._signals).items():
            if not self._exports.is_over(key, newest):
                instance = instance_of(key)
                cuts[instance] = min(newest.at, cuts.get(instance, math.inf))
        return cuts

    def _grown(self, name: str, cuts: Mapping[str, float]) -> float:
        ready: dict[str, Points] = {}
        for key, points in self._waiting[name].items():
            cut = cuts.get(instance_of(key), math.inf)
            ready[key] = {at: value for at, value in points.items() if at <= cut}
            self._waiting[name][key] = {at: value for at, value in points.items() if at > cut}
        return self._tallies[name].advance(ready, self._exports.instances)


def unfit(exports: Exports, signals: Iterable[str], tolerated_s: float) -> Iterator[Fault]:
    """Find series of these signals that stopped, or cannot be used, while their instance goes on."""
    for (signal, key), newest in exports.of(signals).items():
        behind = exports.heard[instance_of(key)] - newest.at
        if behind > tolerated_s and not exports.is_over(key, newest):
            yield Fault(_gone(f"{signal} {{{_shown(key)}}}", behind, newest))


def _shown(key: str) -> str:
    return ",".join(pair for pair in key.split(",") if not pair.startswith("__name__="))


def _gone(what: str, behind_s: float, newest: Newest) -> str:
    if newest.rejected is not None:
        return f"{what} is {newest.rejected.value} for {behind_s:.0f} s; look at the service's /metrics"
    return f"stale series {what}: gone for {behind_s:.0f} s, while its instance goes on; look at its /metrics"


def _no_series(signal: str, selectors: Mapping[str, str]) -> str:
    shown = f" ({selectors[signal]})" if signal in selectors else ""
    return f"{signal}: no such series in Prometheus{shown}; check the name in prometheus.signals and the scope"
