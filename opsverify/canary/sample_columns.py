"""Columns of new samples: key, times and values of each series of one signal, without a dict for each."""

from __future__ import annotations

from array import array
from collections.abc import ItemsView, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Points = dict[float, float]
"""Raw samples of one series: value by scrape time (Unix seconds)."""


class SampleColumns(Mapping[str, Points]):
    """Points by series key, as a step has them: most series have one. A dict for each took ten times the memory."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._ends = array("L")
        self._times: list[float] = []
        self._values: list[float] = []
        self._once: dict[float, float] = {}
        self._numbers: dict[str, int] | None = None

    def add(self, key: str, points: Iterable[tuple[float, float]]) -> None:
        """Add a series that is not there yet, with its samples in order of time."""
        for at, value in points:
            # One object for a time that all series of an instance have.
            self._times.append(self._once.setdefault(at, at))
            self._values.append(value)
        self._keys.append(key)
        self._ends.append(len(self._times))
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
