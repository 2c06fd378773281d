"""Instance of a scope: one process identity, when it was scraped, at what rhythm, and when it restarted."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.metrics.resets import GrowthPace

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_GAPS: Final = 2
"""Gaps between scrapes from which on an instance's rhythm is known."""
_CLOCK_STEP_S: Final = 5.0
"""Seconds that the clock of a process may be behind Prometheus'."""
_MANY_FALLS: Final = 2
_RECENT: Final = 40


class InstanceStatus(StrEnum):
    """Whether an instance goes on."""

    ALIVE = "alive"
    ENDED = "ended"
    LOST = say("not scraped, and not known to have ended")


@dataclass
class Instance:
    """One process identity; times in Unix seconds.

    `counted`: scrapes with a usable sample of requests. `starts`: start times by the scrape that showed them first.
    `falls`: scrapes at which a counter fell. `up_at`, `up`: the latest sample of its scrape target's `up`.
    `known`: the times of `scrapes`. `odd_falls`: scrapes at which one fell to more than can have been counted since.
    `grown`: by signal, growth by scrape; None where a counter fell. `age_s`: of its newest sample when it was seen
    first, at least. `doubted`: whether falls are.
    """

    name: str
    endpoint: str = ""
    scrapes: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)
    starts: list[tuple[float, float]] = field(default_factory=list)
    falls: list[float] = field(default_factory=list)
    odd_falls: list[float] = field(default_factory=list)
    grown: dict[str, dict[float, float | None]] = field(default_factory=dict, repr=False)
    doubted: bool = False
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
            return [
                (shown, started)
                for shown, started in self.starts[1:]
                if after < shown <= until and (not self.doubted or self._agrees(shown, started))
            ]
        if self.is_several:
            return []
        return [(at, None) for at in self.falls[bisect_right(self.falls, after) : bisect_right(self.falls, until)]]

    @property
    def is_several(self) -> bool:
        """Whether no single process falls like that: to more than it can have counted, or at too many scrapes."""
        if not self.doubted or self.starts:
            return False
        return bool(self.odd_falls) or len(self.falls) >= max(_MANY_FALLS, (len(self.scrapes) - 1) / 3)

    def pace(self, signal: str) -> GrowthPace:
        """How fast it counts a signal."""
        pace = GrowthPace()
        for at, amount in list(self.grown.get(signal, {}).items())[-_RECENT:]:
            before = self.scrape_before(at)
            if amount and before is not None:
                pace.add(amount, at - before)
        return pace

    def _agrees(self, shown: float, started: float) -> bool:
        """Whether a start time that moved is a restart, and not a clock that was set, or another process."""
        before = self.scrape_before(shown)
        return before is None or started > before - _CLOCK_STEP_S or shown in self.falls

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


def insert(times: list[float], at: float) -> None:
    """Insert a time once, in its order."""
    if not times or at > times[-1]:
        times.append(at)
    elif times[bisect_left(times, at)] != at:
        insort(times, at)
