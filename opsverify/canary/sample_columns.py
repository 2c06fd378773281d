"""Columns of new samples: key, times and values of each series of one signal, without a dict for each."""

from __future__ import annotations

import math
from array import array
from collections.abc import ItemsView, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Points = dict[float, float]
"""Raw samples of one series: value by scrape time (Unix seconds)."""


Row = tuple[str, Sequence[float], Sequence[float]]
"""Key, times and values of one series, in order of time."""


class SampleColumns(Mapping[str, Points]):
    """Points by series key, as a step has them: most series have one. A dict for each took ten times the memory."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._ends = array("L")
        self._times: list[float] = []
        self._values = array("d")
        self._once: dict[float, float] = {}
        self._numbers: dict[str, int] | None = None

    def add(self, key: str, points: Iterable[tuple[float, float]]) -> None:
        """Add a series that is not there yet, with its samples in order of time."""
        self.add_new([(key, points)], {})

    def add_new(self, series: Iterable[tuple[str, Iterable[tuple[float, float]]]], seen: Mapping[str, float]) -> None:
        """Add series that are not there yet, without samples up to the time that was `seen` of them before."""
        times, values, once = self._times, self._values, self._once
        for key, points in series:
            known, begin = seen.get(key, -math.inf), len(times)
            for at, value in points:
                if at > known:
                    # One object for a time that all series of an instance have.
                    times.append(once.setdefault(at, at))
                    values.append(value)
            if len(times) > begin:
                self._keys.append(key)
                self._ends.append(len(times))
        self._numbers = None

    def __getitem__(self, key: str) -> Points:
        if self._numbers is None:
            self._numbers = {key: number for number, key in enumerate(self._keys)}
        number = self._numbers[key]
        begin, end = self._ends[number - 1] if number else 0, self._ends[number]
        return dict(zip(self._times[begin:end], self._values[begin:end], strict=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def items(self) -> ItemsView[str, Points]:
        """Each key with its points."""
        return _Items(self)

    def rows(self) -> Iterator[Row]:
        """Each key with the times and the values of its samples."""
        begin, times, values = 0, self._times, self._values
        for key, end in zip(self._keys, self._ends, strict=True):
            yield key, times[begin:end], values[begin:end]
            begin = end

    def all_finite(self) -> bool:
        """Whether every value is a number, and finite."""
        return all(map(math.isfinite, self._values))

    def newest(self) -> Iterator[tuple[str, float]]:
        """Each key with the time of its newest sample."""
        for key, end in zip(self._keys, self._ends, strict=True):
            yield key, self._times[end - 1]

    def pairs(self) -> Iterator[tuple[str, Points]]:
        """Each key with its points, made as they are needed."""
        begin, times, values = 0, self._times, self._values
        for key, end in zip(self._keys, self._ends, strict=True):
            if end - begin == 1:
                yield key, {times[begin]: values[begin]}
            else:
                yield key, dict(zip(times[begin:end], values[begin:end], strict=True))
            begin = end


class _Items(ItemsView[str, Points]):
    _mapping: SampleColumns

    def __iter__(self) -> Iterator[tuple[str, Points]]:
        return self._mapping.pairs()


def rows_of(series: Mapping[str, Points]) -> Iterator[Row]:
    """Rows of the series that have samples."""
    if isinstance(series, SampleColumns):
        return series.rows()
    ordered = ((key, sorted(points)) for key, points in series.items() if points)
    return ((key, times, [series[key][at] for at in times]) for key, times in ordered)
