"""Growth of one instance in one scrape: what its series are known to have grown by, and what of it stays unknown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from opsverify.canary.renames import renames
from opsverify.canary.series_state import Amounts, InstanceGrowth, Past, Renamed, SeriesState, SeriesTail
from opsverify.metrics.identity import family_of
from opsverify.metrics.resets import FEW, PLAUSIBLE, falls, is_reset, pace_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.canary.instances import Instances

_USUAL_SCRAPES: Final = 2
"""Scrapes before the window in which one is expected: a single one may be missed."""
_LONG_AGO_S: Final = 600.0


def busiest(of: Mapping[str, InstanceGrowth], signal: str) -> float:
    """The highest rate of one instance that was seen, 1/s."""
    return max((one.rate.get(signal, 0.0) for one in of.values()), default=0.0)


class ScrapeGrowth:
    """Counts scrape by scrape what instances (`of`, by name) grew by; `warm_up_s` of each process is left out."""

    def __init__(
        self,
        signals: tuple[str, ...],
        instances: Instances,
        warm_up_s: float,
        picked_by: tuple[str, ...],
        of: Mapping[str, InstanceGrowth],
    ) -> None:
        self.signals = signals
        self.instances = instances
        self.warm_up_s = warm_up_s
        self.picked_by = picked_by
        self.of = of
        self._fell = False

    def count(self, one: InstanceGrowth, cut: float, grown: Amounts) -> None:
        """Count an instance's samples of one scrape, and those before it that came late."""
        counted, doubts = Amounts(), one.doubts
        self._fell = False
        if one.entered is None:
            self._enter(one, cut)
        if one.unsettled:
            self._settle(one, grown)
        firsts: list[SeriesState] = []
        for series in one.series:
            if not series.waiting or series.waiting[0][0] > cut:
                continue
            if series.at == -math.inf:
                (series.at, series.value), *later = series.waiting
                series.waiting = tuple(later)
                if series.at > self.instances.start:
                    firsts.append(series)  # once its instance's other series have shown how much it counts
                    continue
            self._take(one, series, cut, counted, grown)
        renamed = renames(
            one, firsts, lambda seconds: self._most_new(one, seconds, counted) or math.inf, self.picked_by
        )
        # One that is too large to be new tells of all that came with the same labels.
        old = {
            (series.at, family_of(series.key, self.picked_by))
            for series in firsts
            if (before := one.instance.scrape_before(series.at)) is not None
            and series.value > self._most_new(one, series.at - before, counted)
        }
        for series in firsts:
            past = (series.at, family_of(series.key, self.picked_by)) in old
            amount = self._since_earlier(one, series)
            if amount is None:
                amount = self._first(one, series, counted, renamed.get((series.signal, series.key)), past=past)
            if one.unseen_s and series.at == one.entered and one.instance.started_at(series.at) <= self.instances.start:
                self._add_past(one, series, amount, series.at - self.instances.start, one.unseen_s)
                amount = 0.0
            counted[series.signal] += amount
            before = one.instance.scrape_before(series.at) or series.at
            grown[series.signal] += self._judged(one, before, series.at, amount)
            self._take(one, series, cut, counted, grown)
        self._note(one, cut, counted, certain=one.doubts == doubts)

    def _take(self, one: InstanceGrowth, series: SeriesState, cut: float, counted: Amounts, grown: Amounts) -> None:
        """Count a series' samples up to `cut`."""
        taken, start, may_restart = 0, self.instances.start, one.instance.may_restart(series.at)
        for at, value in series.waiting:
            if at > cut:
                break
            taken += 1
            restarts = one.instance.restarts(series.at, at) if may_restart else ()
            amount = self._between(one, series, at, value, restarts)
            if amount:
                counted[series.signal] += amount
                if at > start >= series.at and one.unseen_s and one.instance.started_at(at) <= start:
                    self._add_past(one, series, amount, at - start, one.unseen_s)
                elif at > start:
                    grown[series.signal] += self._judged(one, series.at, at, amount)
            series.at, series.value = at, value
        if taken:
            series.waiting = series.waiting[taken:]

    def _enter(self, one: InstanceGrowth, cut: float) -> None:
        """Note with the first sample of the window for how long there had been none when it began."""
        start = self.instances.start
        times = [at for series in one.series for at, _ in series.waiting if at <= cut]
        if max(times, default=-math.inf) <= start:
            return
        one.entered = cut
        newest = max([*(series.at for series in one.series), *(at for at in times if at <= start)])
        if newest > -math.inf and self.instances.leaves_gap_out:
            one.unseen_s, one.unsettled = start - newest, True

    def _settle(self, one: InstanceGrowth, grown: Amounts) -> None:
        """Count what grew until the first sample of the window, once the rhythm says that no scrape was missing."""
        start = self.instances.start
        rhythm = one.instance.rhythm_beside(start)
        if rhythm is None:
            return
        one.unsettled = False
        if one.unseen_s <= _USUAL_SCRAPES * rhythm:
            for past in one.pasts:
                if past.unseen_s:
                    for signal, amount in past.values.items():
                        grown[signal] += self._judged(one, start - past.unseen_s, start + past.seconds, amount)
            one.pasts = [past for past in one.pasts if not past.unseen_s]
            one.unseen_s = 0.0

    def _since_earlier(self, one: InstanceGrowth, series: SeriesState) -> float | None:
        """What a series has grown by that its exporter had left out while it was quiet; None where that is unknown."""
        earlier = self.instances.earlier.get(series.signal, {}).get(series.key, math.inf)
        if earlier > series.value or one.instance.restarts(self.instances.start, series.at):
            return None
        if one.instance.scrape_before(series.at) is None:
            return None  # its instance was not scraped either: it may have counted at any time since
        return series.value - earlier

    def _first(
        self, one: InstanceGrowth, series: SeriesState, counted: Amounts, renamed: Renamed | None, *, past: bool
    ) -> float:
        """What a series that appeared in the window has grown by until its first sample."""
        instance, at, value = one.instance, series.at, series.value
        start = self.instances.start
        before = instance.scrape_before(at)
        if before is not None and renamed is not None:
            if renamed.certain:
                return value - (renamed.predecessor.value if renamed.goes_on else 0.0)
            if 0 < renamed.predecessor.value <= value:
                one.pasts.append(Past(at - before, {series.signal: renamed.predecessor.value}, series.key))
                return value - renamed.predecessor.value
        if instance.started_at(at) > start or instance.restarts(start, at):
            return value  # its process began in the window, and its counters at zero
        if before is None:
            self._add_past(one, series, value, at - start)
            return 0.0
        if past:
            # An absent series of a scraped instance counts nothing: all that it counted came since the scrape before.
            trials = self.signals[-1]
            values = {series.signal: value, trials: value}
            one.pasts.append(Past(at - before, values, series.key, others=counted[trials]))
            return 0.0
        return value

    def _most_new(self, one: InstanceGrowth, seconds: float, counted: Amounts) -> float:
        """The largest value that a label's first use can have some seconds after the scrape before; 0 where unknown."""
        trials = self.signals[-1]
        rate = max(one.rate.get(trials, 0.0), counted[trials] / seconds, busiest(self.of, trials))
        return max(FEW, PLAUSIBLE * rate * seconds) if rate else 0.0

    def _add_past(
        self, one: InstanceGrowth, series: SeriesState, value: float, seconds: float, unseen_s: float = 0.0
    ) -> None:
        for past in one.pasts:
            if past.arrived and past.seconds == seconds:
                past.values[series.signal] = past.values.get(series.signal, 0.0) + value
                return
        one.pasts.append(Past(seconds, {series.signal: value}, series.key, arrived=True, unseen_s=unseen_s))

    def _between(
        self,
        one: InstanceGrowth,
        series: SeriesState,
        at: float,
        value: float,
        restarts: Sequence[tuple[float, float | None]],
    ) -> float:
        """How much a series is known to have grown by from its counted sample to this one."""
        known_start = bool(restarts) and any(started is not None for _, started in restarts)
        series.intervals += 1
        doubts = self.instances.doubts_falls
        fell = falls(value, series.value) if doubts else value < series.value
        self._fell |= fell
        if fell and at > self.instances.start and (not restarts or one.instance.is_several):
            series.falls += 1
        if fell and doubts and not known_start and not self._is_reset(one, series, at, value):
            amount = 0.0
            if at > self.instances.start and series.fell is None:
                series.fell = series.value, value
        elif known_start or fell:
            amount = value
        elif value < series.value:
            amount = 0.0
        else:
            amount = value - series.value
            if restarts and series.value and at > self.instances.start:
                # Some counters of the process fell, this one has overtaken its old value, or was not reset.
                one.pasts.append(Past(at - series.at, {series.signal: series.value}, series.key))
        series.quiet = 0 if amount else series.quiet + 1
        series.rate = max(series.rate, amount / (at - series.at))
        return amount

    def _is_reset(self, one: InstanceGrowth, series: SeriesState, at: float, value: float) -> bool:
        """Whether it fell as of a restart, which resets the others of its process as well."""
        pace, seconds = pace_of(other.pace for other in self.of.values()), at - series.at
        if not is_reset(value, series.value, pace, seconds):
            return False
        family = family_of(series.key, self.picked_by)
        shown = (
            other.value if other.at == at else other.waiting[0][1]
            for other in one.series
            if other is not series
            and (other.at == at or (other.waiting and other.waiting[0][0] == at))
            and family_of(other.key, self.picked_by) == family
        )
        return not pace or all(is_reset(found, found, pace, seconds) for found in shown)

    def _judged(self, one: InstanceGrowth, begun: float, at: float, amount: float) -> float:
        """The part of a growth that is in the window, and not in the warm-up of its process."""
        start = self.instances.start
        if at <= start:
            return 0.0
        if self.warm_up_s and amount:
            births = [one.instance.first, *(shown for shown, _ in one.instance.restarts(start, at))]
            born = max(start, *(birth for birth in births if birth <= at), one.instance.started_at(at))
            if begun < born + self.warm_up_s - 1e-9:
                return 0.0
        return amount

    def _note(self, one: InstanceGrowth, cut: float, counted: Amounts, *, certain: bool) -> None:
        """Keep the interval's rates, and the tail of a process that ended in it."""
        begun, start = one.cut, self.instances.start
        restarts = one.instance.restarts(max(begun, start), cut)
        for shown, started in restarts:
            last = one.instance.scrape_before(shown)
            if last is not None:
                end = shown if started is None else min(max(started, last), shown)
                one.tails.append(SeriesTail(end - last, dict(one.last)))
        born = one.instance.started_at(cut)
        if restarts or begun == -math.inf:
            begun = max(begun, born)
        if certain and start - _LONG_AGO_S < begun < cut and (not restarts or born > one.cut):
            if not self._fell and not restarts:
                one.pace.add(counted[self.signals[-1]], cut - begun)
            for signal in self.signals:
                one.rate[signal] = max(one.rate.get(signal, 0.0), counted[signal] / (cut - begun))
            one.last = dict(counted)
            one.history.append((begun, cut, dict(counted)))
        one.cut = cut
