"""Resets of counters: whether a value below the one before is what a new process counted since the scrape before.

A counter falls for other reasons too: several processes answer one address in turn, a recording rule sums up pods of
which one goes, a gauge was taken for a counter. Taken for a restart, its whole value would count as new trials.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PLAUSIBLE: Final = 4.0
"""Times its usual pace at which a process, or a label's first use, may count at most: it may have to catch up."""
FEW: Final = 10.0
"""What may always be new, however slow the pace."""
_UNKNOWN_PART: Final = 0.25
"""Part of the old value that the new one may be, where no pace was seen."""
_KEPT: Final = 40
_MANY_FALLS: Final = 3
_OFTEN: Final = 5
"""Scrape intervals, of which at least one is a fall: no process restarts so often."""
_ROUNDED: Final = 1e-9


class GrowthPace:
    """Rates (1/s) of the latest scrape intervals in which an instance counted, and none of its counters fell."""

    __slots__ = ("_rates",)

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=_KEPT)

    def add(self, amount: float, seconds: float) -> None:
        """Add an interval; one without a count says nothing of how fast it counts."""
        if amount > 0 and seconds > 0:
            self._rates.append(amount / seconds)

    @property
    def usual(self) -> float:
        """Its lower quartile: where several processes answer in turn, many of the intervals are jumps between them."""
        return sorted(self._rates)[(len(self._rates) - 1) // 4] if self._rates else 0.0


def pace_of(paces: Iterable[GrowthPace]) -> float:
    """The busiest of usual paces; 0 where none was seen."""
    return max((pace.usual for pace in paces), default=0.0)


def falls(value: float, old: float) -> bool:
    """Whether a value is below the one before, by more than a sum of fractions may be off."""
    return value < old * (1 - _ROUNDED)


def is_reset(value: float, old: float, pace: float, seconds: float) -> bool:
    """Whether a value that fell is at most what one process can have counted in the seconds since the one before."""
    most = PLAUSIBLE * pace * seconds if pace else _UNKNOWN_PART * old
    # An amount (USD) may be small without being few.
    few = FEW if value % 1 == 0 else min(FEW, old / 2)
    return value <= max(few, most)


class Resets:
    """Resets of the counters of one signal over a whole range, whose samples are all there (by series and time).

    `part`: of another signal, as failures are: half of the old value may have come since the scrape before.
    """

    def __init__(self, series: Mapping[str, Mapping[float, float]], *, part: bool) -> None:
        self._part = part
        self._often: set[str] = set()
        self._pace = 0.0
        for key, points in series.items():
            usable = [(at, value) for at, value in sorted(points.items()) if 0 <= value < math.inf]
            fallen = 0
            for (before, old), (at, value) in pairwise(usable):
                fallen += falls(value, old)
                self._pace = max(self._pace, (value - old) / (at - before))
            if fallen >= _MANY_FALLS and fallen * _OFTEN >= len(usable) - 1:
                self._often.add(key)

    def believed(self, key: str, old: tuple[float, float], new: tuple[float, float]) -> bool:
        """Whether a series that fell between two samples (time, value) was reset."""
        if key in self._often:
            return False
        return (self._part and new[1] <= old[1] / 2) or is_reset(new[1], old[1], self._pace, new[0] - old[0])
