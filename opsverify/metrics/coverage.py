"""Coverage of a window: how much of it was observed, by the times of scrapes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Coverage:
    """How much of a window was observed, in seconds."""

    window_s: float
    missing_s: float

    @property
    def share(self) -> float:
        """Observed share of the window, 0..1."""
        return max(0.0, 1.0 - self.missing_s / self.window_s)


def coverage(moments: Iterable[float], start: float, end: float, tolerated_gap_s: float) -> Coverage:
    """Compute how much of `start`..`end` was observed, given the scrape times (all Unix seconds).

    Counters are cumulative, so a gap up to `tolerated_gap_s` costs nothing; what goes beyond it is missing.
    """
    inside = sorted(at for at in moments if start < at < end)
    if not inside:
        return Coverage(end - start, end - start)
    marks = [start, *inside, end]
    gaps = (later - earlier for earlier, later in pairwise(marks))
    return Coverage(end - start, math.fsum(max(0.0, gap - tolerated_gap_s) for gap in gaps))
