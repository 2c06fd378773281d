"""What raw counters grew by in each step of a window; pure functions over samples as Prometheus scraped them.

Prometheus' own `increase()` extrapolates, and loses the first errors of a label that is new. Here:

- a counter that falls has restarted: it grew by its new value (what the dead process counted after its
  last scrape is lost to everybody);
- a restart may hide behind a value that has already overtaken the old one: the start time tells;
- a series that appears while its instance was already known starts from zero (a label's first use);
- a series of an instance first seen in mid-window starts from zero only if the process is known to have
  started in the window; one that merely was not scraped brings a count of days with it, and only anchors;
- a series that vanishes keeps what it had counted, and goes on from there should it come back;
- a gap loses nothing: the difference over it counts in the step of the first sample after it;
- samples that are NaN, infinite or negative are left out, and named.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_INSTANCE: Final = re.compile(r"(?:^|,)instance=([^,]*)")
_SCRAPER: Final = re.compile(r"(?:^|(?<=,))(?:job|prometheus|prometheus_replica)=[^,]*,?")


class Reason(StrEnum):
    """Why a sample was left out."""

    NAN = "not a number"
    INFINITE = "infinite"
    NEGATIVE = "negative"


@dataclass(frozen=True)
class Rejected:
    """One sample that no counter can have had: series, scrape time (Unix seconds), reason."""

    series: str
    at: float
    reason: Reason


@dataclass(frozen=True)
class Growth:
    """Growth of one signal in each step, and what happened to its series; names are series keys."""

    steps: tuple[float, ...]
    restarted: tuple[str, ...] = ()
    appeared: tuple[str, ...] = ()
    unanchored: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()

    @property
    def total(self) -> float:
        """Growth over the whole window."""
        return math.fsum(self.steps)


@dataclass(frozen=True)
class Instances:
    """When each instance was first seen in any signal, and when it started, where known (Unix seconds)."""

    first_seen: Mapping[str, float] = field(default_factory=dict)
    started: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Coverage:
    """How much of a window was observed, in seconds."""

    window_s: float
    missing_s: float

    @property
    def share(self) -> float:
        """Observed share of the window, 0..1."""
        return max(0.0, 1.0 - self.missing_s / self.window_s)


def instance_of(series: str) -> str:
    """Return the instance in a series key such as `code=500,instance=10.0.0.1:8000`; empty without one."""
    match = _INSTANCE.search(series)
    return match[1] if match else ""


def seen_instances(signals: Iterable[Mapping[str, Mapping[float, float]]]) -> dict[str, float]:
    """Find when each instance first gave a sample of any signal."""
    first: dict[str, float] = {}
    for series in signals:
        for key, points in series.items():
            if points:
                instance = instance_of(key)
                first[instance] = min(first.get(instance, math.inf), *points)
    return first


def scraped_twice(series: Iterable[str]) -> tuple[str, ...]:
    """List series that differ from an earlier one only in who scraped them: they would count twice."""
    seen: set[str] = set()
    twice: list[str] = []
    for key in series:
        bare = _SCRAPER.sub("", key).rstrip(",")
        if bare in seen:
            twice.append(key)
        seen.add(bare)
    return tuple(twice)


def increments(
    series: Mapping[str, Mapping[float, float]],
    edges: Sequence[float],
    instances: Instances | None = None,
) -> Growth:
    """Sum up the growth in each step between consecutive `edges` (Unix seconds, ascending).

    `series` holds samples by scrape time. Samples at or before the first edge anchor their series; so does
    the first sample of the first step, where there is none before. `instances` must come from all signals
    of the scope (`seen_instances`). Raises ValueError for edges that do not ascend.
    """
    if not edges[1:] or any(later <= earlier for earlier, later in pairwise(edges)):
        raise ValueError("expected at least two step edges, ascending")
    known = instances or Instances(seen_instances([series]))
    tally = _Tally(edges, known)
    for key in sorted(series):
        tally.add(key, series[key])
    return tally.growth()


def coverage(moments: Iterable[float], start: float, end: float, tolerated_gap_s: float) -> Coverage:
    """Work out how much of `start`..`end` was observed, given when samples came in (all Unix seconds).

    Counters are cumulative, so a gap up to `tolerated_gap_s` costs nothing; what goes beyond it is missing.
    """
    inside = sorted(at for at in moments if start < at < end)
    if not inside:
        return Coverage(end - start, end - start)
    marks = [start, *inside, end]
    gaps = (later - earlier for earlier, later in pairwise(marks))
    return Coverage(end - start, math.fsum(max(0.0, gap - tolerated_gap_s) for gap in gaps))


def _reason(value: float) -> Reason:
    if math.isnan(value):
        return Reason.NAN
    return Reason.INFINITE if math.isinf(value) else Reason.NEGATIVE


class _Tally:
    """Adds series up, one at a time."""

    def __init__(self, edges: Sequence[float], instances: Instances) -> None:
        self._edges = edges
        self._instances = instances
        self._amounts: list[list[float]] = [[] for _ in edges[1:]]
        self._restarted: list[str] = []
        self._appeared: list[str] = []
        self._unanchored: list[str] = []
        self._vanished: list[str] = []
        self._rejected: list[Rejected] = []

    def add(self, key: str, points: Mapping[float, float]) -> None:
        """Count one series' growth, step by step."""
        usable = self._usable(key, points)
        if not usable:
            return
        previous = self._anchor(key, usable)
        started = self._instances.started.get(instance_of(key), -math.inf)
        for at, value in usable:
            if at > previous[0]:
                restarted = value < previous[1] or previous[0] < started <= at
                if restarted and value != previous[1]:
                    self._restarted.append(key)
                self._count(at, value if restarted else value - previous[1])
                previous = (at, value)
        if previous[0] <= self._edges[-2]:
            self._vanished.append(key)

    def growth(self) -> Growth:
        """Everything added so far."""
        return Growth(
            tuple(math.fsum(amounts) for amounts in self._amounts),
            tuple(dict.fromkeys(self._restarted)),
            tuple(self._appeared),
            tuple(self._unanchored),
            tuple(self._vanished),
            tuple(self._rejected),
        )

    def _usable(self, key: str, points: Mapping[float, float]) -> list[tuple[float, float]]:
        usable = []
        for at, value in sorted(points.items()):
            if math.isfinite(value) and value >= 0:
                usable.append((at, value))
            else:
                self._rejected.append(Rejected(key, at, _reason(value)))
        return usable

    def _anchor(self, key: str, usable: list[tuple[float, float]]) -> tuple[float, float]:
        """Find the sample, real or zero, from which the series' growth in the window is counted."""
        start, first_step_end = self._edges[0], self._edges[1]
        before = [point for point in usable if point[0] <= start]
        if before:
            return before[-1]
        first_at, first_value = usable[0]
        instance = instance_of(key)
        if self._instances.started.get(instance, -math.inf) > start:
            self._appeared.append(key)
            return (start, 0.0)
        if self._instances.first_seen.get(instance, math.inf) < first_at:
            self._appeared.append(key)
            return (start, 0.0)
        if first_at > first_step_end:
            self._unanchored.append(key)
        return (first_at, first_value)

    def _count(self, at: float, amount: float) -> None:
        step = bisect_left(self._edges, at) - 1
        if 0 <= step < len(self._amounts):
            self._amounts[step].append(amount)
