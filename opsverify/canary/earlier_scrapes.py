"""Earlier scrape state of one scope (rule 2): the latest sample of every series, restarts and missing instances."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsverify.canary.window_setup import PROCESS_START, REQUESTS
from opsverify.metrics.counters import InstanceTimes, Reason, instance_of, reason_against

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opsverify.canary.sample_columns import Points

_SAME_START_S = 1.0


@dataclass
class LatestSample:
    """The latest usable sample of one series, and why a newer one could not be used (times in Unix seconds)."""

    at: float = -math.inf
    value: float = math.nan
    rejected: Reason | None = None


@dataclass
class ScrapeState:
    """Advanced step by step; `start` of the window and all times in Unix seconds.

    `moments` are the scrapes in which requests could be counted: without these nothing was observed.
    """

    start: float
    first_scraped: dict[str, float] = field(default_factory=dict)
    last_scraped: dict[str, float] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    restarted: dict[str, float] = field(default_factory=dict)
    latest: dict[str, dict[str, LatestSample]] = field(default_factory=dict)
    moments: set[float] = field(default_factory=set)

    def add(self, signals: Mapping[str, Mapping[str, Points]]) -> None:
        """Add the new samples of one step."""
        for signal, series in signals.items():
            for key, points in series.items():
                for at, value in sorted(points.items()):
                    self._note(signal, key, at, value)

    @property
    def instances(self) -> InstanceTimes:
        """First scrape and start time of each instance."""
        return InstanceTimes(self.first_scraped, self.started, named=instance_of)

    def of(self, signals: Iterable[str]) -> dict[tuple[str, str], LatestSample]:
        """The series of some signals, by signal and key."""
        return {(signal, key): latest for signal in signals for key, latest in self.latest.get(signal, {}).items()}

    def ended(self, key: str, latest: LatestSample) -> bool:
        """Whether a series ended with its process: its instance has restarted since."""
        return latest.at < self.restarted.get(instance_of(key), -math.inf)

    def missing(self, tolerated_s: float) -> tuple[str, ...]:
        """Instances scraped in the window whose last scrape is `tolerated_s` older than the latest one."""
        latest = max(self.last_scraped.values(), default=-math.inf)
        return tuple(name for name, at in self.last_scraped.items() if self.start < at < latest - tolerated_s)

    def _note(self, signal: str, key: str, at: float, value: float) -> None:
        instance = instance_of(key)
        self.first_scraped[instance] = min(at, self.first_scraped.get(instance, math.inf))
        self.last_scraped[instance] = max(at, self.last_scraped.get(instance, -math.inf))
        reason = reason_against(value)
        if signal == PROCESS_START:
            if reason is None:
                self._note_start(instance, at, value)
            return
        latest = self.latest.setdefault(signal, {}).setdefault(key, LatestSample())
        if at <= latest.at:
            return
        latest.rejected = reason
        if reason is None:
            if value < latest.value:
                self._note_restart(instance, at)
            latest.at, latest.value = at, value
            if signal == REQUESTS:
                self.moments.add(at)

    def _note_start(self, instance: str, at: float, started: float) -> None:
        before = self.started.get(instance)
        self.started[instance] = started
        if before is not None and started > before + _SAME_START_S:
            self._note_restart(instance, at)

    def _note_restart(self, instance: str, at: float) -> None:
        if at > self.start:
            self.restarted[instance] = max(at, self.restarted.get(instance, -math.inf))
