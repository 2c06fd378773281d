"""Throughput of a restore, stage by stage, and the duration extrapolated to production's size: plain arithmetic."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SLICES: Final = 20
"""A copy is timed in so many slices of equal size: how fast it goes varies with files and disk."""
_LEAST_SLICE: Final = 1 << 20
_WARM_CACHE: Final = 4 << 30


@dataclass(frozen=True)
class DrillStage:
    """One stage of a drill: its beginning (seconds after the drill's), its duration, and what it transferred."""

    name: str
    began_s: float
    seconds: float
    bytes: int | None = None
    segments: int | None = None

    @property
    def bytes_per_s(self) -> float | None:
        """Bytes a second."""
        return self.bytes / self.seconds if self.bytes is not None and self.seconds > 0 else None

    @property
    def segments_per_s(self) -> float | None:
        """WAL segments a second."""
        return self.segments / self.seconds if self.segments is not None and self.seconds > 0 else None


@dataclass(frozen=True)
class Extrapolated:
    """Duration of a restore of `size` bytes: between `low_s` and `high_s`, and the measurement it rests on."""

    size: int
    low_s: float
    high_s: float
    rests_on: str


@dataclass
class Meter:
    """Bytes a second of a copy, in slices; `clock` gives seconds."""

    clock: Callable[[], float] = time.monotonic
    rates: list[float] = field(default_factory=list)
    _at: tuple[float, int] | None = None

    @property
    def started(self) -> bool:
        """Whether measuring has begun."""
        return self._at is not None

    def start(self) -> None:
        """Begin to measure now, with nothing copied."""
        self._at = (self.clock(), 0)

    def note(self, done: int, total: int) -> None:
        """Note that `done` of `total` bytes are copied; a slice ends when enough was copied since the last one."""
        began, before = self._at or (self.clock(), 0)
        self._at = (began, before)
        if done - before < max(total / SLICES, _LEAST_SLICE):
            return
        now = self.clock()
        if now > began:
            self.rates.append((done - before) / (now - began))
        self._at = (now, done)


def extrapolate(size: int, copied: int, slices: Iterable[float], fixed_s: float) -> Extrapolated | None:
    """Return the duration for `size` bytes at the slowest and the fastest of the measured `slices` (bytes a second).

    `fixed_s` is what does not grow with the database: WAL replay (it follows the age of the backup), promotion,
    checks. None where nothing was measured.
    """
    rates = [rate for rate in slices if rate > 0]
    if not rates:
        return None
    rests_on = say("{count} slices of {copied:,} bytes", count=len(rates), copied=copied)
    if copied < _WARM_CACHE:
        rests_on = say("{slices} possibly read from the page cache: take it as the least", slices=rests_on)
    return Extrapolated(
        size=size,
        low_s=size / max(rates) + fixed_s,
        high_s=size / min(rates) + fixed_s,
        rests_on=rests_on,
    )
