"""Instances of one scope (canary or baseline): when each was scraped, at what rhythm, when it restarted, came and went.

An instance is one process identity (`identity.process_of`); its samples of all signals tell of it together. A counter
that falls is a restart of its process where the process does not export its start time; where it does, only a start
time that moved is one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from opsverify.canary.identity import endpoint_of, process_of
from opsverify.canary.sample_columns import rows_of
from opsverify.canary.window_setup import PROCESS_START, REQUESTS, UP
from opsverify.language.message import say
from opsverify.metrics.counters import reason_against

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.canary.sample_columns import Points

_METRIC: Final = "__name__="
_SAME_START_S: Final = 1.0
_LEAST_GAPS: Final = 2
"""Gaps between scrapes from which on an instance's rhythm is known."""
_TARGET_GONE_S: Final = 65.0
"""Seconds without `up` after which a target is gone: longer than one scrape a minute."""


class InstanceStatus(StrEnum):
    """Whether an instance goes on."""

    ALIVE = "alive"
    ENDED = "ended"
    LOST = say("not scraped, and not known to have ended")


@dataclass(slots=True)
class _Latest:
    """The newest usable sample of a series, and the instance that it is of."""

    instance: Instance
    at: float = -math.inf
    value: float = -math.inf


@dataclass
class Instance:
    """One process identity; times in Unix seconds.

    `counted`: scrapes with a usable sample of requests. `starts`: start times by the scrape that showed them first.
    `falls`: scrapes at which a counter fell. `up_at`, `up`: the latest sample of its scrape target's `up`.
    `known`: the times of `scrapes`. `age_s`: of its newest sample when it was seen first, at least.
    """

    name: str
    endpoint: str = ""
    scrapes: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)
    starts: list[tuple[float, float]] = field(default_factory=list)
    falls: list[float] = field(default_factory=list)
    up_at: float = -math.inf
    up: float = math.nan
    age_s: float = math.inf
    aged: float = -math.inf
    known: set[float] = field(default_factory=set, repr=False)

    @property
    def first(self) -> float:
        """Its first scrape."""
        return self.scrapes[0]

    @property
    def last(self) -> float:
        """Its last scrape."""
        return self.scrapes[-1]

    @property
    def rhythm_s(self) -> float | None:
        """Usual seconds between its scrapes; None before that is known."""
        recent = self.scrapes[-12:]
        return median(b - a for a, b in pairwise(recent)) if len(recent) > _LEAST_GAPS else None

    def late_s(self, step_s: float) -> float:
        """Seconds that its samples come late, at least: asked for each `step_s`, they are as old without that."""
        punctual = min(step_s, self.rhythm_s or step_s)
        return max(0.0, self.age_s - punctual) if self.age_s < math.inf else 0.0

    def rhythm_beside(self, moment: float) -> float | None:
        """As `rhythm_s`, of a single gap as well, without the gap that `moment` is in."""
        recent = self.scrapes[-12:]
        gaps = [b - a for a, b in pairwise(recent) if not a <= moment < b]
        return median(gaps) if gaps else None

    def scraped(self, times: Sequence[float]) -> None:
        """Note scrapes; many series tell of each."""
        for at in times:
            if at not in self.known:
                self.known.add(at)
                insort(self.scrapes, at)

    def started_at(self, at: float) -> float:
        """Start time of the process that was scraped at `at`; minus infinity where unknown."""
        found = [started for shown, started in self.starts if shown <= at]
        return found[-1] if found else -math.inf

    def restarts(self, after: float, until: float) -> list[tuple[float, float | None]]:
        """Restarts seen by scrapes in (`after`, `until`]: the scrape, and the start time where that is exported."""
        if not self.may_restart(after):
            return []
        if self.starts:
            return [(shown, started) for shown, started in self.starts[1:] if after < shown <= until]
        return [(at, None) for at in self.falls[bisect_right(self.falls, after) : bisect_right(self.falls, until)]]

    def may_restart(self, after: float) -> bool:
        """Whether `restarts` may find any after that time; asked of every series, and seldom true."""
        if self.starts:
            return self.starts[-1][0] > after
        return bool(self.falls) and self.falls[-1] > after

    def scrape_before(self, at: float) -> float | None:
        """The latest scrape before `at`."""
        index = bisect_left(self.scrapes, at)
        return self.scrapes[index - 1] if index else None

    def scrapes_after(self, at: float) -> int:
        """How many scrapes came after `at`."""
        return len(self.scrapes) - bisect_right(self.scrapes, at)


class Instances:
    """Every instance of one scope, advanced step by step; `start` of the window in Unix seconds.

    `leaves_gap_out`: what grew over a gap that began before the window is not counted. `awaits_late`: as `Policy` has.
    """

    def __init__(
        self, start: float, instance_label: str = "", *, leaves_gap_out: bool = False, awaits_late: bool = False
    ) -> None:
        self.start = start
        self.label = instance_label
        self.leaves_gap_out = leaves_gap_out
        self.awaits_late = awaits_late
        self.all: dict[str, Instance] = {}
        self._latest: dict[str, dict[str, _Latest]] = {}
        self._by_labels: dict[str, Instance] = {}

    def of(self, key: str) -> Instance:
        """The instance of a series."""
        metric, comma, labels = key.partition(",")
        # Many metrics have the same labels, which name the instance.
        shared = labels if comma and metric.startswith(_METRIC) and self.label != _METRIC[:-1] else key
        found = self._by_labels.get(shared)
        if found is None:
            name = process_of(shared, self.label)
            found = self.all.get(name)
            if found is None:
                found = self.all[name] = Instance(name, endpoint_of(shared))
            self._by_labels[shared] = found
        return found

    def of_series(self, signal: str, key: str) -> Instance:
        """As `of`, for a series that was added."""
        latest = self._latest.get(signal, {}).get(key)
        return self.of(key) if latest is None else latest.instance

    def add(self, signals: Mapping[str, Mapping[str, Points]], asked: float = math.inf) -> None:
        """Add the new samples of one step, which were `asked` for at that time."""
        for key, points in signals.get(UP, {}).items():
            self._add_up(key, points)
        # Start times first: they say whether a counter that falls is a restart.
        for signal in sorted(signals.keys() - {UP}, key=lambda name: name != PROCESS_START):
            known = self._latest.setdefault(signal, {})
            for key, times, values in rows_of(signals[signal]):
                latest = known.get(key)
                instance = latest.instance if latest is not None else self.of(key)
                if not instance.known.issuperset(times):
                    instance.scraped(times)
                if instance.starts and signal not in (REQUESTS, PROCESS_START):
                    continue  # its start time tells of every restart
                if latest is None:
                    latest = known[key] = _Latest(instance)
                self._add(signal, latest, times, values)
        for one in self.all.values():
            if one.scrapes and one.last > one.aged:
                one.age_s, one.aged = min(one.age_s, asked - one.last), one.last

    @property
    def seen(self) -> tuple[Instance, ...]:
        """Instances of the window: what missed a scrape before it began is over."""
        return tuple(one for one in self.all.values() if self.in_window(one))

    def in_window(self, one: Instance) -> bool:
        """Whether an instance may have gone on in the window."""
        if not one.scrapes:
            return False
        return one.last + (one.rhythm_s or self.rhythm_s) > self.start or (self.awaits_late and self._silent(one))

    def _silent(self, one: Instance) -> bool:
        """Whether the target of an instance is still there, without samples of it in the window."""
        newest = max(other.up_at for other in self.all.values())
        rhythm = one.rhythm_s or self.rhythm_s
        return one.up_at > max(self.start, one.last) and newest - one.up_at <= max(2 * rhythm, _TARGET_GONE_S)

    @property
    def rhythm_s(self) -> float:
        """The usual rhythm over the instances; 0 where unknown."""
        return median([one.rhythm_s for one in self.all.values() if one.rhythm_s is not None] or [0.0])

    def usual_gap_s(self, one: Instance, step_s: float, tolerated_s: float) -> float:
        """Seconds between samples of an instance that are no gap: two steps, or two scrapes where these are rarer."""
        rhythm = one.rhythm_s if one.rhythm_s is not None else self.rhythm_s
        return max(2 * step_s, min(2 * rhythm, tolerated_s))

    def up_known(self) -> bool:
        """Whether this scope's scrape targets are exported as `up`."""
        return any(one.up_at > -math.inf for one in self.all.values())

    def target_gone(self, one: Instance) -> bool:
        """Whether the scrape target of an instance is gone from service discovery, others not."""
        newest = max(other.up_at for other in self.all.values())
        return one.up_at > -math.inf and one.up == 1 and one.up_at <= one.last < newest

    def _add_up(self, key: str, points: Points) -> None:
        instance = self.of(key)
        at = max(points, default=-math.inf)
        if at > instance.up_at:
            instance.up_at, instance.up = at, points[at]

    def _add(self, signal: str, latest: _Latest, times: Sequence[float], values: Sequence[float]) -> None:
        instance = latest.instance
        if signal == PROCESS_START:
            _add_starts(instance, times, values)
            return
        counted = instance.counted if signal == REQUESTS else None
        for at, value in zip(times, values, strict=True):
            if at <= latest.at or not 0 <= value < math.inf:
                continue
            if counted is not None:
                _insert(counted, at)
            # A series of the old process that comes again later belongs to the restart that was seen first.
            if value < latest.value and not (instance.falls and instance.falls[-1] > latest.at):
                _insert(instance.falls, at)
            latest.at, latest.value = at, value


def _add_starts(instance: Instance, times: Sequence[float], values: Sequence[float]) -> None:
    for at, value in zip(times, values, strict=True):
        if reason_against(value) is None and value > instance.started_at(at) + _SAME_START_S:
            instance.starts.append((at, value))


def _insert(times: list[float], at: float) -> None:
    if not times or at > times[-1]:
        times.append(at)
    elif times[bisect_left(times, at)] != at:
        insort(times, at)
