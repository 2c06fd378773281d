"""Buckets at the limit on latency: whether each series of durations that is counted has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.metrics.identity import labels_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_OF_THE_SERIES: Final = ("__name__", "le")

Family = frozenset[tuple[str, str]]


class Buckets:
    """Series of durations and of their buckets, by the labels that both have."""

    def __init__(self) -> None:
        self._durations: dict[Family, str] = {}
        self._buckets: set[Family] = set()

    def add(self, keys: Iterable[str], *, buckets: bool) -> None:
        """Add series that are new."""
        for key in keys:
            family = frozenset(pair for pair in labels_of(key).items() if pair[0] not in _OF_THE_SERIES)
            if buckets:
                self._buckets.add(family)
            else:
                self._durations[family] = key

    def missing(self) -> Iterator[str]:
        """Series of durations without a bucket, where others have theirs: of these all would count as slow.

        Where none has one of the same labels, the two are exported apart, and cannot be matched.
        """
        if not self._buckets.isdisjoint(self._durations):
            yield from (key for family, key in self._durations.items() if family not in self._buckets)
