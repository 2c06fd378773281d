"""State of series and instances while their growth is counted: values, and what is kept of them as unknown."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.metrics.resets import GrowthPace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.canary.instance import Instance
    from opsverify.metrics.counters import Reason

_QUIET: Final = 2
"""Intervals without growth from which on a series is quiet."""


class Amounts(defaultdict[str, float]):
    """Amounts by signal; none is 0."""

    def __init__(self) -> None:
        super().__init__(float)

    def add(self, other: Mapping[str, float]) -> None:
        """Add amounts to these."""
        for signal, amount in other.items():
            self[signal] += amount


@dataclass(slots=True)
class SeriesState:
    """One series: its latest counted sample, samples that wait, and what is known of its rate (1/s)."""

    key: str
    signal: str
    at: float = -math.inf
    value: float = math.nan
    seen: float = -math.inf
    """The time of its latest usable sample."""
    waiting: tuple[tuple[float, float], ...] = ()
    rate: float = 0.0
    intervals: int = 0
    quiet: int = 0
    falls: int = 0
    fell: tuple[float, float] | None = None
    """Values between which it fell in the window, where no restart explains it."""
    invalid: Reason | None = None
    missed: int = 0
    released: bool = False
    succeeded: bool = False
    credited: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether it grew lately."""
        return self.quiet < min(_QUIET, max(1, self.intervals)) and self.rate > 0


@dataclass(frozen=True)
class Past:
    """What series may have counted before their first samples: up to their `values`, in so many `seconds`.

    `arrived`: their instance was not scraped before, or (`unseen_s`) not in so many seconds before the window.
    `others`: trials that its other series counted in that time.
    """

    seconds: float
    values: dict[str, float]
    key: str
    arrived: bool = False
    others: float = 0.0
    unseen_s: float = 0.0

    def room(self, rate: float) -> float:
        """The most trials that were possible, at `rate` and beside those of other series."""
        return max(0.0, rate * self.seconds - self.others)


@dataclass(frozen=True)
class Renamed:
    """The series that ended as another began under other labels: whether the new one `goes_on` with its count."""

    predecessor: SeriesState
    goes_on: bool
    certain: bool


@dataclass(frozen=True)
class SeriesTail:
    """Seconds between the last sample of a process and its end, and what its last interval showed."""

    seconds: float
    last: dict[str, float]


@dataclass
class InstanceGrowth:
    """What is counted of one instance: growth by signal, highest rate and latest interval, and what is unknown."""

    instance: Instance
    series: list[SeriesState] = field(default_factory=list)
    cut: float = -math.inf
    total: Amounts = field(default_factory=Amounts)
    rate: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    pace: GrowthPace = field(default_factory=GrowthPace)
    """Of trials."""
    pasts: list[Past] = field(default_factory=list)
    tails: list[SeriesTail] = field(default_factory=list)
    history: list[tuple[float, float, dict[str, float]]] = field(default_factory=list)
    entered: float | None = None
    """The scrape of the window that was counted first."""
    unseen_s: float = 0.0
    """Seconds before the window without a sample, where that is more than scrapes leave, or may be (`unsettled`)."""
    unsettled: bool = False

    @property
    def doubts(self) -> int:
        """How much is unknown, in number."""
        return len(self.pasts) + len(self.tails)
