"""Growth of the series of one signal or of a pair (bad ones and trials), instance by instance.

*The growth of a scope in a step is the sum over its instances of what their counters are known to have grown by. What
cannot be known (before the first sample of an instance with a past, between the last sample of a process and its end)
is bounded and named, and never turns bad trials into good ones.*

Known:
- the difference of two samples of one process; over a gap in the window it counts in the step of the first sample
  after it;
- the whole value of a process that started in the window, by its exported start time, or after a restart;
- the whole value of a label's first use, where its instance was scraped before: a counter starts at zero. Not where it
  is more than the instance can have counted since its last scrape: then the series returns with a past (an exporter
  that expires quiet series), or holds a process of its own (`instance_label`).

Not known, and bounded by the busiest rate that was seen of any process of the scope (`Unseen`):
- what an instance counted in the window before its first sample, also where it was scraped before, and missed more than
  a scrape until the window began: what grew over that gap may all be of before;
- what a process counted between its last sample and its end;
- what a busy series counts after its last sample, while its instance goes on and no other series succeeds it;
- what an instance counts that is not scraped and not known to have ended.

Samples of one instance are counted up to the latest scrape that all its series have: failures without their
successes would look like 100 %. A series that ended is waited for only while it may come back.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.canary.renames import alike
from opsverify.canary.sample_columns import rows_of
from opsverify.canary.scrape_growth import ScrapeGrowth, busiest
from opsverify.canary.series_state import Amounts, InstanceGrowth, SeriesState
from opsverify.metrics.counters import reason_against

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opsverify.canary.instance import Instance
    from opsverify.canary.instances import Instances
    from opsverify.canary.sample_columns import Points

PATIENCE: Final = 3
"""Scrapes for which a busy series without a sample is waited for."""
_DELTA_FALLS: Final = 3


@dataclass(frozen=True)
class StepGrowth:
    """Growth of each signal in one step, and what gaps of busy series may hide of it."""

    known: Mapping[str, float]
    hidden: Mapping[str, float]


class GrowthTally:
    """Adds up signals that are counted together; `warm_up_s` of each process is left out."""

    def __init__(
        self,
        signals: Iterable[str],
        instances: Instances,
        warm_up_s: float = 0.0,
        picked_by: tuple[str, ...] = (),
    ) -> None:
        self.signals = tuple(signals)
        self.instances = instances
        self.picked_by = picked_by
        self.of: dict[str, InstanceGrowth] = {}
        self._scrapes = ScrapeGrowth(self.signals, instances, warm_up_s, picked_by, self.of)
        self._series: dict[str, dict[str, SeriesState]] = {signal: {} for signal in self.signals}
        self.left_out: set[tuple[str, str]] = set()

    def advance(self, signals: Mapping[str, Mapping[str, Points]]) -> StepGrowth:
        """Add the samples of one step, which `instances` has already."""
        for signal in self.signals:
            for key, times, values in rows_of(signals.get(signal, {})):
                if not self.left_out or (signal, key) not in self.left_out:
                    self._wait(signal, key, times, values)
        known: Amounts = Amounts()
        hidden: Amounts = Amounts()
        for one in self.of.values():
            known.add(self._count(one))
            hidden.add(self._hidden(one))
        return StepGrowth(known, hidden)

    def busiest(self, signal: str) -> float:
        """The highest rate of one instance that was seen in this scope, 1/s."""
        return busiest(self.of, signal)

    def rated(self, signal: str) -> bool:
        """Whether an instance was seen for long enough to have a rate, be it none."""
        return any(signal in one.rate for one in self.of.values())

    def open_gaps(self) -> Iterator[tuple[InstanceGrowth, SeriesState, float]]:
        """Series that were busy, without a sample while their instance goes on: seconds since the last one."""
        for one in self.of.values():
            for series in one.series:
                lag = one.instance.last - series.seen
                if lag > 0 and not self._over(one, series):
                    yield one, series, lag

    def invalid(self, tolerated_s: float) -> Iterator[tuple[SeriesState, float]]:
        """Series whose newest samples no counter can have, for longer than `tolerated_s`; the seconds."""
        for one, series, lag in self.open_gaps():
            began = series.at if series.at > -math.inf else max(one.instance.first, self.instances.start)
            if series.invalid is not None and min(lag, one.instance.last - began) > tolerated_s:
                yield series, one.instance.last - began

    def unlikely(self) -> list[SeriesState]:
        """Series that fell in the window without a restart that explains it; the one that counts most first."""
        found = [series for one in self.of.values() for series in one.series if series.fell]
        return sorted(found, key=lambda series: -series.value)

    def delta_like(self) -> Iterator[tuple[SeriesState, Instance]]:
        """Series that fall at many of their scrapes while their process goes on: no cumulative counters."""
        for one in self.of.values():
            for series in one.series:
                many = series.falls >= _DELTA_FALLS and series.falls * 3 >= series.intervals
                if many or (one.instance.is_several and series.falls):
                    yield series, one.instance

    def _wait(self, signal: str, key: str, times: Sequence[float], values: Sequence[float]) -> None:
        known = self._series[signal].get(key)
        if known is None:
            known = self._series[signal][key] = self._new(signal, key)
        waiting = []
        for at, value in zip(times, values, strict=True):
            if at > known.seen:
                known.invalid = None if 0 <= value < math.inf else reason_against(value)
                if known.invalid is None:
                    waiting.append((at, value))
                    known.seen = at
        if waiting:
            known.missed = 0  # a series that is one scrape late at every look goes on
            known.waiting += tuple(waiting)

    def _new(self, signal: str, key: str) -> SeriesState:
        instance = self.instances.of_series(signal, key)
        one = self.of.get(instance.name)
        if one is None:
            one = self.of[instance.name] = InstanceGrowth(instance)
        series = SeriesState(key, signal)
        one.series.append(series)
        return series

    def _count(self, one: InstanceGrowth) -> Amounts:
        """Count an instance up to the latest scrape that all its series have, or need not have."""
        cut = one.instance.last
        for series in one.series:
            lag = one.instance.last - series.seen
            if lag <= 0:
                series.missed, series.released = 0, False
                continue
            series.missed += 1
            if self._over(one, series) or series.released:
                continue
            if self._may_go(one, series):
                series.released = True
            else:
                cut = min(cut, series.seen)
        grown: Amounts = Amounts()
        if cut > one.cut:
            first = bisect_right(one.instance.scrapes, one.cut)
            last = bisect_left(one.instance.scrapes, cut)
            for edge in (*one.instance.scrapes[first:last], cut):
                self._scrapes.count(one, edge, grown)
            one.total.add(grown)
        return grown

    def _hidden(self, one: InstanceGrowth) -> Amounts:
        """What gaps of busy series may hide, beyond what was reported before; taken back once they are over."""
        hidden: Amounts = Amounts()
        for series in one.series:
            if series.released and not self._over(one, series):
                most = series.rate * (one.instance.last - series.seen)
                if most > series.credited:
                    hidden[series.signal] += most - series.credited
                    series.credited = most
            elif series.credited and not series.released:
                hidden[series.signal] -= series.credited
                series.credited = 0.0
        return hidden

    def _may_go(self, one: InstanceGrowth, series: SeriesState) -> bool:
        """Whether a series without its latest samples is no longer waited for."""
        missed = one.instance.scrapes_after(series.seen)
        if missed > PATIENCE:
            return True
        # Stored between two queries: the next one has it.
        settled = series.missed > 1
        return settled and series.invalid is None and (not series.busy or self._succeed(one, series))

    def _succeed(self, one: InstanceGrowth, series: SeriesState) -> bool:
        """Whether another series of the signal began when this one ended."""
        if series.succeeded:
            return True
        begun = [
            other
            for other in one.series
            if other.signal == series.signal
            and other.at == -math.inf
            and other.waiting
            and alike(other.key, series.key, self.picked_by)
        ]
        return any(one.instance.scrape_before(other.waiting[0][0]) == series.seen for other in begun)

    def _over(self, one: InstanceGrowth, series: SeriesState) -> bool:
        """Whether a series ended with its process, before the window, or has a successor: it hides nothing."""
        if series.invalid is not None:
            return False
        if series.succeeded or series.seen <= self.instances.start:
            return series.missed > 1
        return bool(one.instance.restarts(series.seen, one.instance.last))
