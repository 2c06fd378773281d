"""Lookback: growth and shares of counters over the target's latest `lookback`, from raw samples."""

from __future__ import annotations

import datetime as dt
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.config.signals import SHARES
from opsverify.core.interval import Share
from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.metrics.counted_elsewhere import require_a_part
from opsverify.metrics.counters import InstanceTimes, first_scrapes, increments, instance_of
from opsverify.metrics.earlier_values import earlier_values
from opsverify.metrics.freshness import require_fresh
from opsverify.metrics.same_series import require_told_apart
from opsverify.metrics.scraped_by import scraped_twice
from opsverify.metrics.signal_meaning import require_meaning
from opsverify.units import duration, elapsed, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.config.model import PrometheusConfig
    from opsverify.language.message import Message
    from opsverify.probes.prometheus import Prometheus

DAY_S = 86400.0
WEEK_S = 7 * DAY_S
_LEAST_COVERED = 0.5
"""Of a lookback of the week before: the part that its samples have to cover."""
_OBSERVED = 0.9
"""Of a lookback: from this part on it counts as observed, since samples come a scrape apart."""


@dataclass(frozen=True)
class LookbackGrowth:
    """Growth of a counter between its first and last sample."""

    value: float
    since: dt.datetime
    until: dt.datetime

    @property
    def span_s(self) -> float:
        """Seconds between the two samples."""
        return (self.until - self.since).total_seconds()

    @property
    def per_day(self) -> float:
        """Scaled to 24 hours."""
        return self.value * DAY_S / self.span_s


@dataclass(frozen=True)
class Lookback:
    """The last `lookback` of a target's counters."""

    prometheus: Prometheus
    config: PrometheusConfig
    now: Callable[[], float] = time.time

    def rate(self, bad: str, trials: str) -> Share:
        """The share of `bad` in `trials` (signal names).

        Raises Inconclusive where either has no samples, or where more were bad than there were trials.
        """
        signals = self.config.signals
        name, good = signals.counted(bad)
        # One moment for both: of two windows that end a scrape apart, one holds a first sample that the other lacks,
        # and a counter's whole past would count as its growth.
        at = self.prometheus.now()
        series = {trials: self._series(trials, at), name: self._series(name, at, bad=None if good else bad)}
        if series[name].keys() == series[trials].keys():
            require_told_apart(self.prometheus, signals, bad)
        if _instances(series[name]).isdisjoint(_instances(series[trials])):
            # Of another exporter: that the trials' own is scraped says nothing of it.
            require_fresh(name, (point for points in series[name].values() for point in points), self.now())
        # A label's first bad one counts in full: the trials show that its instance was scraped before.
        scraped = first_scrapes(series.values())
        grown = self._grown(trials, series[trials], at, scraped)
        total = grown.value
        counted = self._grown(name, series[name], at, scraped, trials).value if series[name] else 0.0
        require_a_part(signals, (name, counted), (trials, total))
        if good:
            counted = max(0.0, total - counted)
        return Share(min(1.0, counted / total) if total else math.nan, round(total), self._text(grown))

    def _text(self, trials: LookbackGrowth) -> Message:
        """How many trials there were, and in what time: a platform or its metrics may be younger than the lookback."""
        lookback_s = parse_duration(self.config.lookback)
        whole = duration(lookback_s)
        if trials.span_s >= _OBSERVED * lookback_s:
            return say("of {total:,.0f} in the last {lookback}", total=trials.value, lookback=whole)
        return say(
            "of {total:,.0f} in {span}, all that was observed of the last {lookback}",
            total=trials.value,
            span=elapsed(trials.span_s),
            lookback=whole,
        )

    def per_day(self, signal: str) -> LookbackGrowth:
        """Growth of `signal`, to be scaled to 24 hours. Raises Inconclusive where one sample is all that there is."""
        growth = self.growth(signal)
        if not growth.span_s:
            raise Inconclusive(
                say(
                    "{signal}: one sample only in the last {lookback}; wait for the next scrape",
                    signal=signal,
                    lookback=self.config.lookback,
                )
            )
        return growth

    def per_day_a_week_ago(self, signal: str) -> float | None:
        """What `per_day` was seven days ago: the same weekday. None where its samples cover less than half of it."""
        span_s = parse_duration(self.config.lookback)
        selector = self.config.signals.of(signal).selector()
        at = self.prometheus.now() - WEEK_S
        past = self.prometheus.history(selector, span_s, at)
        series = {found.key: dict(found.points) for found in past if found.points}
        if not series or scraped_twice(sorted(series)):
            return None
        growth = self._grown(signal, series, at)
        return growth.per_day if growth.span_s >= span_s * _LEAST_COVERED else None

    def growth(self, signal: str) -> LookbackGrowth:
        """Growth of `signal` over the lookback, summed over its series.

        Raises Inconclusive where a series is there twice: a share may not mind, an amount would be doubled.
        """
        at = self.prometheus.now()
        series = self._series(signal, at)
        for twice in scraped_twice(sorted(series)):
            raise Inconclusive(
                say(
                    "{signal}: duplicate series {{{series}}}, scraped by two jobs or replicas: it would count twice; "
                    "select one of them (prometheus.signals.{signal})",
                    signal=signal,
                    series=twice,
                )
            )
        return self._grown(signal, series, at)

    def _grown(
        self,
        signal: str,
        series: Mapping[str, Mapping[float, float]],
        at: float,
        scraped: Mapping[str, float] | None = None,
        trials: str | None = None,
    ) -> LookbackGrowth:
        """Growth until `at`; `scraped` and `trials` where the signal is a part of another."""
        scraped = first_scrapes([series]) if scraped is None else scraped
        chosen = self.config.signals.of
        span = (at - parse_duration(self.config.lookback), at)
        whole = chosen(trials).selector() if trials else None
        earlier = earlier_values(self.prometheus, chosen(signal).selector(), series, scraped, span, whole)
        return _grown(signal, series, InstanceTimes(scraped, earlier=earlier), part=trials is not None)

    def _series(self, signal: str, at: float, *, bad: str | None = None) -> dict[str, dict[float, float]]:
        """Samples by series; none for `bad` ones that did not happen yet, where their selector is known to be right."""
        selector = self.config.signals.of(signal).selector()
        history = self.prometheus.history(selector, parse_duration(self.config.lookback), at)
        if not any(series.points for series in history):
            if bad in SHARES:
                require_meaning(self.prometheus, self.config.signals, bad)
                return {}
            raise Inconclusive(
                say(
                    "{signal}: no samples of {selector} in the last {lookback}; check that it is scraped",
                    signal=signal,
                    selector=selector,
                    lookback=self.config.lookback,
                )
            )
        if bad is None:
            require_fresh(signal, (at for series in history for at, _ in series.points), self.now())
        return {series.key: dict(series.points) for series in history}


def _instances(series: Mapping[str, Mapping[float, float]]) -> set[str]:
    return {instance_of(key) for key, points in series.items() if points}


def _grown(
    signal: str, series: Mapping[str, Mapping[float, float]], instances: InstanceTimes, *, part: bool
) -> LookbackGrowth:
    moments = [at for points in series.values() for at in points]
    # Where its instance was scraped before, the first sample of all is growth, and no anchor.
    first, last = min(*moments, *instances.first_scraped.values()), max(moments)
    value = 0.0
    if last > first:
        value = increments(series, [first, last], instances, part=part).of_counters(signal).total
    return LookbackGrowth(value, dt.datetime.fromtimestamp(first, dt.UTC), dt.datetime.fromtimestamp(last, dt.UTC))
