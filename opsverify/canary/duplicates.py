"""Duplicates among the series of a scope: scraped by two jobs or replicas, each would count twice."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from opsverify.canary.sample_columns import rows_of
from opsverify.canary.unseen import shown
from opsverify.language.message import say
from opsverify.metrics.identity import labels_of
from opsverify.metrics.scraped_by import scraped_twice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opsverify.canary.instances import Instances
    from opsverify.canary.sample_columns import Points

_TURNS: Final = 8
"""Scrapes in turn after which it is no chance that two counters have the values of one."""


class Duplicates:
    """Series of some signals, and which of them are another one scraped again; `left_out` by signal and key.

    `by_value`: as `Policy.finds_scrapers`.
    """

    def __init__(self, signals: Iterable[str], instance_label: str, *, by_value: bool) -> None:
        self._by_value = by_value
        self.keys: dict[str, set[str]] = {name: set() for name in signals}
        self.left_out: set[tuple[str, str]] = set()
        self._label = instance_label
        self._found: dict[str, None] = {}

    def add(self, signals: Mapping[str, Mapping[str, Points]]) -> dict[str, set[str]]:
        """Add the series of one step; by signal those that are new."""
        found = {}
        for name, known in self.keys.items():
            new = signals.get(name, {}).keys() - known
            if new:
                known.update(new)
                found[name] = new
                twice = scraped_twice(sorted(known), self._label, by_value=self._by_value)
                self._found |= dict.fromkeys(twice)
                self.left_out |= {(name, key) for key in twice}
        return found

    @property
    def texts(self) -> tuple[str, ...]:
        """What to say of each."""
        return tuple(
            say(
                "duplicate series {{{series}}}: scraped by two jobs or replicas, its instance would count twice; "
                "select one of them, or name the label that tells processes apart (canary.instance_label)",
                series=shown(key),
            )
            for key in self._found
        )


class _Pair:
    """Two series of one process that differ in one label: whether their values are those of one counter."""

    def __init__(self) -> None:
        self.turns = 0
        self._last: tuple[float, float, str] = (-math.inf, -math.inf, "")
        self._apart = False

    def add(self, samples: Iterable[tuple[float, float, str]]) -> None:
        """Add new samples of both, in order of time: time, value, and whose it is."""
        for at, value, key in samples:
            before_at, before, other = self._last
            if other and key != other:
                # One exposition has both; or one counts what the other does not.
                self._apart |= at == before_at or value < before
                self.turns += 1
            elif value < before:
                self.turns = 0  # restarted
            self._last = (at, value, key)

    @property
    def same(self) -> bool:
        """Whether both were read from one counter, in turn."""
        return not self._apart and self.turns >= _TURNS


class ReadInTurn:
    """Series of one signal that two scrapers read from one process in turn, told apart by a label of any name.

    What one scrape shows has one time. Where a process has series of different times, those of them that differ in one
    label, and show the values of one counter for many scrapes, count it twice.
    """

    def __init__(self, instances: Instances) -> None:
        self._instances = instances
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._looked_at: dict[str, int] = {}

    def add(self, signal: str, series: Mapping[str, Points]) -> None:
        """Add the samples of one step, which the instances have already."""
        found: dict[str, dict[str, tuple[Sequence[float], Sequence[float]]]] = {}
        mixed: set[str] = set()
        newest: dict[str, float] = {}
        for key, times, values in rows_of(series):
            name = self._instances.of_series(signal, key).name
            found.setdefault(name, {})[key] = (times, values)
            if newest.setdefault(name, times[-1]) != times[-1]:
                mixed.add(name)
        for name in mixed:
            if self._looked_at.get(name) != len(found[name]):
                self._looked_at[name] = len(found[name])
                last = {key: times[-1] for key, (times, _) in found[name].items()}
                for pair in _of_one_label(last, self._instances.label):
                    self._pairs.setdefault(pair, _Pair())
        if self._pairs:
            rows = {key: row for of_one in found.values() for key, row in of_one.items()}
            for pair, state in self._pairs.items():
                state.add(
                    sorted(
                        (at, value, key) for key in pair if key in rows for at, value in zip(*rows[key], strict=True)
                    )
                )

    @property
    def texts(self) -> Iterator[str]:
        """What to say of each pair."""
        for (one, other), state in self._pairs.items():
            if state.same:
                yield say(
                    "duplicate series {{{series}}} and {{{other}}}: two scrapers read one counter in turn, and it "
                    "counts twice; select one of them, or name the label that tells processes apart "
                    "(canary.instance_label)",
                    series=shown(one),
                    other=shown(other),
                )


def _of_one_label(newest: Mapping[str, float], instance_label: str) -> Iterator[tuple[str, str]]:
    """Pairs of series of different times that differ in one label, and not in the one that tells processes apart."""
    alike: defaultdict[tuple[str, frozenset[tuple[str, str]]], dict[float, str]] = defaultdict(dict)
    for key in sorted(newest):
        labels = labels_of(key)
        for label in labels.keys() - {instance_label}:
            others = frozenset(pair for pair in labels.items() if pair[0] != label)
            alike[label, others].setdefault(newest[key], key)
    for found in alike.values():
        yield from pairwise(found.values())
