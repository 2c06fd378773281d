"""What counters did lately: growth and shares over the target's look-back, from raw samples."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.gate.observation import increase
from opsverify.limits import duration, parse_duration

if TYPE_CHECKING:
    from opsverify.probes.prometheus import Prometheus
    from opsverify.target import Prometheus as PrometheusConfig

DAY_S = 86400.0


@dataclass(frozen=True)
class Growth:
    """Growth of a counter between its first and last sample."""

    value: float
    since: dt.datetime
    until: dt.datetime

    @property
    def span_s(self) -> float:
        """Seconds between the two samples."""
        return (self.until - self.since).total_seconds()


@dataclass(frozen=True)
class RecentShare:
    """Bad ones out of trials."""

    share: float
    trials: int
    in_words: str


@dataclass(frozen=True)
class Recent:
    """The last `lookback` of a target's counters."""

    prometheus: Prometheus
    config: PrometheusConfig

    def rate(self, bad: str, trials: str) -> RecentShare:
        """The share of `bad` in `trials` (signal names). Raises Inconclusive where either was never seen."""
        total = self.growth(trials).value
        counted = self.growth(bad).value
        words = f"of {total:,.0f} in the last {duration(parse_duration(self.config.lookback))}"
        return RecentShare(counted / total if total else math.nan, round(total), words)

    def per_day(self, signal: str) -> float:
        """Growth of `signal`, scaled to 24 hours."""
        growth = self.growth(signal)
        if not growth.span_s:
            raise Inconclusive(
                f"{signal}: one sample only in the last {self.config.lookback}; wait for the next scrape"
            )
        return growth.value * DAY_S / growth.span_s

    def growth(self, signal: str) -> Growth:
        """Growth of `signal` over the look-back, summed over its series."""
        selector = getattr(self.config.signals, signal).selector()
        history = self.prometheus.history(selector, parse_duration(self.config.lookback))
        moments = [at for series in history for at, _ in series.points]
        if not moments:
            raise Inconclusive(
                f"{signal}: no samples of {selector} in the last {self.config.lookback}; is it scraped?"
            )
        first, last = min(moments), max(moments)
        try:
            value = math.fsum(increase(dict(series.points), first, last - first) for series in history)
        except ValueError as error:
            raise Inconclusive(f"{signal}: {error}; look at the service's /metrics") from error
        return Growth(
            value, dt.datetime.fromtimestamp(first, dt.UTC), dt.datetime.fromtimestamp(last, dt.UTC)
        )
