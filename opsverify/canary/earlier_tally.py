"""Earlier tally of one criterion (rule 2): bad ones and trials step by step, and faults that make them invalid.

Both come from the same scrapes: samples of one signal that are newer than the others' (a scrape stored between two
queries, a series that is NaN or has ended) wait until the others follow: no share mixes different times.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from opsverify.canary.fault import Fault
from opsverify.canary.progress import Counts
from opsverify.metrics.counters import Tally, instance_of, reason_against
from opsverify.metrics.scraped_by import scraped_twice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opsverify.canary.earlier_scrapes import LatestSample, ScrapeState
    from opsverify.canary.sample_columns import Points
    from opsverify.canary.window_setup import Counted

_MOST_CARRIED = 0.01
"""Bad ones without a trial, as a share of the trials, explained by reading two counters one after the other."""


class CriterionTally:
    """Counts one criterion in one scope."""

    def __init__(self, counted: Counted, scrapes: ScrapeState, anchored_until: float) -> None:
        self._counted = counted
        self._scrapes = scrapes
        self._signals = (counted.bad, counted.trials)
        self._tallies = {name: Tally(scrapes.start, anchored_until) for name in self._signals}
        self._waiting: dict[str, dict[str, Points]] = {name: {} for name in self._signals}
        self._duplicates: dict[str, None] = {}
        self._carried = 0.0
        self._trials = 0.0

    def advance(self, signals: Mapping[str, Mapping[str, Points]]) -> Counts:
        """Add the samples of one step (which the scrape state has already); counts that are complete by now."""
        for name in self._signals:
            series = signals.get(name, {})
            twice = scraped_twice(sorted({*self._scrapes.latest.get(name, {}), *series}), by_value=False)
            self._duplicates |= dict.fromkeys(twice)
            for key in series.keys() - set(twice):
                usable = {at: value for at, value in series[key].items() if reason_against(value) is None}
                self._waiting[name].setdefault(key, {}).update(usable)
        common = self._common_scrapes()
        grown = {name: self._grown(name, common) for name in self._signals}
        trials = grown[self._counted.trials]
        bad = grown[self._counted.bad]
        if self._counted.good_counted:
            bad = trials - bad
        self._carried += bad
        self._trials += trials
        counted = min(max(self._carried, 0.0), trials)
        self._carried -= counted
        return Counts(counted, trials)

    def faults(self, selectors: Mapping[str, str], tolerated_s: float) -> Iterator[Fault]:
        """Every fault at this step; gaps up to `tolerated_s` are none."""
        yield from self._absent(selectors)
        yield from invalid_series(self._scrapes, self._signals, tolerated_s)
        for key in self._duplicates:
            yield Fault(f"duplicate series {{{_shown(key)}}}: scraped by two jobs, its instance would count twice")
        for name in self._signals:
            for key in self._tallies[name].unanchored:
                yield Fault(
                    f"extra series {name} {{{_shown(key)}}}: appeared in mid-window with an unknown earlier count; "
                    "export process_start_time_seconds, or rerun",
                    distorts=False,
                )
        if abs(self._carried) > max(1.0, _MOST_CARRIED * self._trials):
            bad, trials = self._signals
            yield Fault(f"{bad} counts {abs(self._carried):,.0f} more than {trials}: check both in prometheus.signals")

    def _absent(self, selectors: Mapping[str, str]) -> Iterator[Fault]:
        bad, trials = self._counted.bad, self._counted.trials
        if not self._scrapes.latest.get(trials):
            yield Fault(_no_series(trials, selectors))
        elif not self._scrapes.latest.get(bad):
            if self._counted.good_counted:
                yield Fault(f"missing bucket: {_no_series(bad, selectors)}")
            elif not self._no_series_means_none(trials):
                yield Fault(_no_series(bad, selectors))

    def _no_series_means_none(self, trials: str) -> bool:
        picked = set(self._counted.picked_by)
        carried = {pair.partition("=")[0] for key in self._scrapes.latest[trials] for pair in key.split(",")}
        return bool(picked) and picked <= carried

    def _common_scrapes(self) -> dict[str, float]:
        """The latest scrape, by instance, that all its series have."""
        common: dict[str, float] = {}
        for (_, key), latest in self._scrapes.of(self._signals).items():
            if not self._scrapes.ended(key, latest):
                instance = instance_of(key)
                common[instance] = min(latest.at, common.get(instance, math.inf))
        return common

    def _grown(self, name: str, common: Mapping[str, float]) -> float:
        ready: dict[str, Points] = {}
        for key, points in self._waiting[name].items():
            cut = common.get(instance_of(key), math.inf)
            ready[key] = {at: value for at, value in points.items() if at <= cut}
            self._waiting[name][key] = {at: value for at, value in points.items() if at > cut}
        return self._tallies[name].advance(ready, self._scrapes.instances)


def invalid_series(scrapes: ScrapeState, signals: Iterable[str], tolerated_s: float) -> Iterator[Fault]:
    """Find series of these signals that ended, or have invalid samples, while their instance is still scraped."""
    for (signal, key), latest in scrapes.of(signals).items():
        lag_s = scrapes.last_scraped[instance_of(key)] - latest.at
        if lag_s > tolerated_s and not scrapes.ended(key, latest):
            yield Fault(_stale(f"{signal} {{{_shown(key)}}}", lag_s, latest))


def _shown(key: str) -> str:
    return ",".join(pair for pair in key.split(",") if not pair.startswith("__name__="))


def _stale(series: str, lag_s: float, latest: LatestSample) -> str:
    if latest.rejected is not None:
        return f"{series} is {latest.rejected.value} for {lag_s:.0f} s; check the service's /metrics"
    return f"stale series {series}: no sample for {lag_s:.0f} s while its instance is scraped; check its /metrics"


def _no_series(signal: str, selectors: Mapping[str, str]) -> str:
    shown = f" ({selectors[signal]})" if signal in selectors else ""
    return f"{signal}: no such series in Prometheus{shown}; check the name in prometheus.signals and the scope"
