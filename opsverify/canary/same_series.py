"""Series of pairs of signals in a window: whether two that were not told apart before it count the same ones."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from opsverify.canary.unseen import shown
from opsverify.canary.window_setup import WITHIN_LIMIT
from opsverify.metrics.same_series import BUCKETS, same_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from opsverify.canary.sample_columns import Points


class SameSeries:
    """Series that each signal of these pairs had in the window, of canary and baseline."""

    def __init__(self, pairs: Collection[tuple[str, str]]) -> None:
        self._pairs = tuple(pairs)
        self._signals = {name for pair in self._pairs for name in pair}
        self._keys: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)

    def add(self, scope: str, signals: Mapping[str, Mapping[str, Points]]) -> None:
        """Add the series of one step."""
        for name in self._signals & signals.keys():
            self._keys[name].update((scope, key) for key in signals[name])

    def texts(self, names: Collection[str]) -> Iterator[str]:
        """What to say of each pair that is the same, for a criterion that is counted by `names`."""
        for pair in self._pairs:
            one, other = (self._keys.get(name) for name in pair)
            if one and one == other and not set(pair).isdisjoint(names):
                first, second = (BUCKETS if name == WITHIN_LIMIT else name for name in pair)
                yield same_text(first, second, shown(min(one)[1]))
