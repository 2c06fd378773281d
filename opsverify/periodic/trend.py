"""Trend of a volume's free space, and the day on which it ends.

From the lowest value of each day, so that what a night writes and removes is no trend. Theil-Sen: the median of all
slopes between two days, with the interval of Sen (1968) from Kendall's statistic. One step (a file copied once, a
table dropped) makes slopes between days on its two sides, so the largest change from one day to the next is put aside
where it is unlike all others; a trend is there only where the interval then still excludes none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import NormalDist, median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE: Final = 0.99
UNLIKE: Final = 5.0
"""How many times the usual deviation a change of one day is more than the usual change, to be a step."""
STEADY: Final = 0.25
"""What of the whole fall must be left without the largest step: what taking it out leaves of a step is less."""
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Slope:
    """Change a day, with its interval."""

    value: float
    low: float
    high: float

    @property
    def falls(self) -> bool:
        """Whether the whole interval is below none."""
        return self.high < 0


def theil_sen(points: Sequence[Point], confidence: float = CONFIDENCE) -> Slope:
    """The median slope of (day, value), two points or more with different days."""
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2)
    n, count = len(points), len(slopes)
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * deviation
    low, high = math.floor((count - reach) / 2), math.ceil((count + reach) / 2)
    return Slope(
        median(slopes),
        slopes[low] if low >= 0 else -math.inf,
        slopes[high] if high < count else math.inf,
    )


def without_step(points: Sequence[Point]) -> list[Point]:
    """The points with the largest change of one day taken out, where it is unlike the others."""
    ordered = sorted(points)
    changes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairwise(ordered)]
    usual = median(changes)
    deviation = median(abs(change - usual) for change in changes)
    at = max(range(len(changes)), key=lambda n: abs(changes[n] - usual))
    if abs(changes[at] - usual) <= UNLIKE * deviation:
        return ordered
    (x1, y1), (x2, y2) = ordered[at], ordered[at + 1]
    step = (y2 - y1) - usual * (x2 - x1)
    return [*ordered[: at + 1], *((x, y - step) for x, y in ordered[at + 1 :])]


def falling(points: Sequence[Point]) -> Slope | None:
    """How fast free space falls, None where there is no trend: it falls with and without its largest step."""
    whole, steady = theil_sen(points), theil_sen(without_step(points))
    real = whole.falls and steady.falls and steady.value < STEADY * whole.value
    return steady if real else None
