"""Duplicates among the series of a scope: scraped by two jobs or replicas, each would count twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.canary.unseen import shown
from opsverify.language.message import say
from opsverify.metrics.counters import scraped_twice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opsverify.canary.sample_columns import Points


class Duplicates:
    """Series of some signals, and which of them are another one scraped again; `left_out` by signal and key."""

    def __init__(self, signals: Iterable[str], instance_label: str) -> None:
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
                twice = scraped_twice(sorted(known), self._label)
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
