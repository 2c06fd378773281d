"""What the instances of one scope (canary or baseline) have exported so far, and what became of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsverify.canary.window_setup import PROCESS_START, REQUESTS
from opsverify.metrics.counters import Instances, Reason, instance_of, reason_against

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opsverify.canary.observation import Points

_SAME_START_S = 1.0


@dataclass
class Newest:
    """The newest usable sample of one series, and why a newer one could not be used (times in Unix seconds)."""

    at: float = -math.inf
    value: float = math.nan
    rejected: Reason | None = None


@dataclass
class Exports:
    """Advanced look by look; `start` of the window in Unix seconds.

    `moments` are the scrapes in which requests could be counted: without these nothing was observed.
    """

    start: float
    first_seen: dict[str, float] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    restarted: dict[str, float] = field(default_factory=dict)
    newest: dict[str, dict[str, Newest]] = field(default_factory=dict)
    moments: set[float] = field(default_factory=set)

    def absorb(self, signals: Mapping[str, Mapping[str, Points]]) -> None:
        """Take in the new samples of one look."""
        for signal, series in signals.items():
            for key, points in series.items():
                for at, value in sorted(points.items()):
                    self._note(signal, key, at, value)

    @property
    def instances(self) -> Instances:
        """Since when each instance is known, and since when it runs."""
        return Instances(self.first_seen, self.started)

    def of(self, signals: Iterable[str]) -> dict[tuple[str, str], Newest]:
        """The series of some signals, by signal and key."""
        return {(signal, key): newest for signal in signals for key, newest in self.newest.get(signal, {}).items()}

    def is_over(self, key: str, newest: Newest) -> bool:
        """Whether a series ended with a process that is no more: its instance has restarted since."""
        return newest.at < self.restarted.get(instance_of(key), -math.inf)

    def missing(self, tolerated_s: float) -> tuple[str, ...]:
        """Instances heard of in the window that have been silent for longer than the others."""
        latest = max(self.heard.values(), default=-math.inf)
        return tuple(name for name, at in self.heard.items() if self.start < at < latest - tolerated_s)

    def _note(self, signal: str, key: str, at: float, value: float) -> None:
        instance = instance_of(key)
        self.first_seen[instance] = min(at, self.first_seen.get(instance, math.inf))
        self.heard[instance] = max(at, self.heard.get(instance, -math.inf))
        reason = reason_against(value)
        if signal == PROCESS_START:
            if reason is None:
                self._note_start(instance, at, value)
            return
        newest = self.newest.setdefault(signal, {}).setdefault(key, Newest())
        if at <= newest.at:
            return
        newest.rejected = reason
        if reason is None:
            if value < newest.value:
                self._note_restart(instance, at)
            newest.at, newest.value = at, value
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
