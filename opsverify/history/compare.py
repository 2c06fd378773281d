"""Comparison of two snapshots: a pair that may be compared, or the reason why not.

Two counters differ by a growth only where the same source counted both, from the same beginning. Everything else is
an answer of its own: there is no negative number and no number that a reset made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from opsverify.language.message import say
from opsverify.units import elapsed, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opsverify.history.snapshot import Origin, Snapshot, Value
    from opsverify.language.message import Message

Kind = Literal["none", "other", "reset", "clock", "young"]


@dataclass(frozen=True, slots=True)
class NotComparable:
    """Why there is nothing to compare with: by kind for programs, in words for people.

    `none` no earlier snapshot, `other` another source, `reset` counting began again, `clock` the earlier one lies in
    the future, `young` too little time lies between them.
    """

    kind: Kind
    reason: Message


@dataclass(frozen=True, slots=True)
class Pair:
    """An earlier and a later snapshot of the same source, counted from the same beginning."""

    earlier: Snapshot
    later: Snapshot

    @property
    def span_s(self) -> float:
        """Seconds between them."""
        return (self.later.taken_at - self.earlier.taken_at).total_seconds()

    @property
    def lost(self) -> int:
        """Entries that the source dropped in between: what they counted is in neither."""
        return self.later.origin.lost - self.earlier.origin.lost

    @property
    def appeared(self) -> tuple[str, ...]:
        """Keys that only the later one has."""
        return tuple(key for key in self.later.rows if key not in self.earlier.rows)

    @property
    def gone(self) -> tuple[str, ...]:
        """Keys that only the earlier one has."""
        return tuple(key for key in self.earlier.rows if key not in self.later.rows)

    def growth(self, key: str, *names: str) -> dict[str, float] | None:
        """Growth of the counters `names` of one key; all of a key that appeared in between.

        None where one of them fell, or has no number: the key was counted anew, so that no growth of it is known.
        """
        now, before = self.later.rows[key], self.earlier.rows.get(key)
        grown: dict[str, float] = {}
        for name in names:
            last, first = _number(now.get(name)), 0.0 if before is None else _number(before.get(name))
            if last is None or first is None or last < first:
                return None
            grown[name] = last - first
        return grown

    def growths(self, *names: str) -> Iterator[tuple[str, dict[str, float]]]:
        """Key and growth of every key of the later one whose growth is known."""
        for key in self.later.rows:
            grown = self.growth(key, *names)
            if grown is not None:
                yield key, grown

    def anew(self, *names: str) -> tuple[str, ...]:
        """Keys of the later one whose growth is not known."""
        return tuple(key for key in self.later.rows if self.growth(key, *names) is None)


def compare(earlier: Snapshot, later: Snapshot, *, at_least_s: float = 0.0) -> Pair | NotComparable:
    """The pair, or why the two may not be compared; `at_least_s` has to lie between them."""
    if earlier.subject != later.subject:
        raise ValueError(f"{earlier.subject} is not compared with {later.subject}")
    for difference in _differences(earlier.origin, later.origin):
        return difference
    pair = Pair(earlier, later)
    if pair.span_s <= 0:
        return NotComparable(
            "clock",
            say("the earlier snapshot is dated {at}, not before this one: a clock was set", at=_time(earlier)),
        )
    if pair.span_s < at_least_s:
        return NotComparable(
            "young",
            say(
                "the earliest comparable snapshot is {age} old, {needed} needed",
                age=elapsed(pair.span_s),
                needed=quantity(at_least_s, "s"),
            ),
        )
    return pair


def _differences(earlier: Origin, later: Origin) -> Iterator[NotComparable]:
    for name, before, now in _changed(earlier.same.items(), later.same.items()):
        yield NotComparable("other", say("{name} was {before}, now {now}", name=name, before=before, now=now))
    for name, before, now in _changed(earlier.began.items(), later.began.items()):
        yield NotComparable(
            "reset", say("counting began again: {name} was {before}, now {now}", name=name, before=before, now=now)
        )
    if later.lost < earlier.lost:
        yield NotComparable(
            "reset",
            say("counting began again: dropped entries were {before}, now {now}", before=earlier.lost, now=later.lost),
        )


def _changed(
    before: Iterable[tuple[str, str]], now: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str | Message, str | Message]]:
    first, last = dict(before), dict(now)
    for name in sorted(first.keys() | last.keys()):
        if first.get(name) != last.get(name):
            yield name, first.get(name) or say("unknown"), last.get(name) or say("unknown")


def _number(value: Value) -> float | None:
    return value if isinstance(value, int | float) else None


def _time(snapshot: Snapshot) -> str:
    return snapshot.taken_at.isoformat(timespec="seconds")
