"""Review of indexes: which are unused, doubled, invalid, bloated; "unknown" is an answer of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.periodic.indexes import indexes, scans
from opsverify.units import elapsed, listed, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opsverify.language.message import Message
    from opsverify.limits import Limit
    from opsverify.periodic.indexes import IndexEntry, NodeScans
    from opsverify.probes.postgres import Postgres

_RECENT_S: Final = 86400.0
"""An index that was scanned a day ago is in use, however short the time that counters must cover."""
SMALLEST_ESTIMATED: Final = 1 << 20
"""Bytes; below this a few pages decide."""


class Usage(StrEnum):
    """Whether an index may go: four answers."""

    USED = "used"
    NOT_REMOVABLE = "not removable"
    UNUSED = "unused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Unread:
    """A node whose counters could not be read, and why."""

    node: str
    reason: Message


class IndexReview:
    """The indexes of a database, and their scans on every node of it."""

    def __init__(self, entries: Iterable[IndexEntry], nodes: Iterable[NodeScans | Unread]) -> None:
        self.entries = tuple(entries)
        self._nodes = tuple(nodes)

    @classmethod
    def of(cls, postgres: Postgres, others: Mapping[str, Callable[[], Postgres]], replicas: int) -> IndexReview:
        """Read the database and its other nodes; `replicas` is how many of these there are."""
        nodes: list[NodeScans | Unread] = [scans(postgres, "primary")]
        for name, opened in others.items():
            try:
                nodes.append(scans(opened(), name))
            except Inconclusive as error:
                nodes.append(Unread(name, say("{error}", error=error)))
        if len(others) < replicas:
            nodes.append(
                Unread(
                    "replicas",
                    say(
                        "postgres.replicas = {replicas}, but [[postgres.nodes]] has {named}; name every replica",
                        replicas=replicas,
                        named=len(others),
                    ),
                )
            )
        return cls(indexes(postgres), nodes)

    def usage(self, wanted: Limit) -> dict[str, Usage]:
        """The answer for every index, by name; counters must cover `wanted` to show that one is unused.

        Partitions of one index are one: a part cannot be dropped, and one that is used keeps all.
        """
        parts: dict[int, list[IndexEntry]] = defaultdict(list)
        for entry in self.entries:
            parts[entry.root].append(entry)
        answers: dict[str, Usage] = {}
        for group in parts.values():
            answer = self._usage(group, wanted)
            answers |= {entry.name: answer for entry in group if not entry.partitioned}
        return answers

    def unknown_because(self, wanted: Limit) -> Message:
        """What keeps an unused index from being known as one, and from when on it is known."""
        for node in self._nodes:
            if isinstance(node, Unread):
                return say("{node} could not be read: {reason}", node=node.node, reason=node.reason)
            if node.counted_s is None:
                return say("{node}: since when it counts is not known", node=node.node)
            if not wanted.holds(node.counted_s):
                return say(
                    "{node} counts for {age} only (reset or crash), {needed} needed",
                    node=node.node,
                    age=elapsed(node.counted_s),
                    needed=wanted.text,
                )
        return say("nothing")

    def named(self, usage: str, wanted: Limit) -> tuple[IndexEntry, ...]:
        """The indexes with one answer, largest first."""
        answers = self.usage(wanted)
        found = [entry for entry in self.entries if answers.get(entry.name) == usage]
        return tuple(sorted(found, key=lambda entry: -entry.bytes))

    @property
    def duplicates(self) -> tuple[tuple[IndexEntry, IndexEntry], ...]:
        """Pairs of a removable index and the one that does the same work, both valid."""
        by_signature: dict[str, list[IndexEntry]] = defaultdict(list)
        for entry in self.entries:
            if entry.valid and entry.root == entry.oid:
                by_signature[entry.signature].append(entry)
        pairs = []
        for same in by_signature.values():
            kept, *others = sorted(same, key=lambda entry: (entry.removable, not entry.unique, entry.name))
            pairs += [(other, kept) for other in others]
        return tuple(pairs)

    @property
    def invalid(self) -> tuple[IndexEntry, ...]:
        """Indexes that no query uses and every write maintains; one that is being built is none."""
        return tuple(entry for entry in self.entries if not (entry.valid or entry.building))

    @property
    def estimated(self) -> tuple[tuple[IndexEntry, float], ...]:
        """Indexes of which the size of a fresh one is known, with the share that rebuilding would free, worst first."""
        found = [
            (entry, max(0.0, 1 - entry.expected_bytes / entry.bytes))
            for entry in self.entries
            if entry.expected_bytes is not None and entry.bytes >= SMALLEST_ESTIMATED
        ]
        return tuple(sorted(found, key=lambda one: -one[1]))

    @property
    def not_estimated(self) -> tuple[IndexEntry, ...]:
        """Indexes large enough to matter, of which no estimate is known to be right."""
        return tuple(
            entry
            for entry in self.entries
            if entry.expected_bytes is None and not entry.partitioned and entry.bytes >= SMALLEST_ESTIMATED
        )

    def table(self, wanted: Limit) -> str:
        """Every index with its answer, one a line."""
        answers = self.usage(wanted)
        return "\n".join(
            f"{answers[entry.name]:<14} {entry.bytes:>14,} {entry.name} ON {entry.table}"
            for entry in sorted(self.entries, key=lambda one: -one.bytes)
            if entry.name in answers
        )

    def _usage(self, group: list[IndexEntry], wanted: Limit) -> Usage:
        if any(self._used(entry, wanted) for entry in group):
            return Usage.USED
        if not all(entry.removable for entry in group):
            return Usage.NOT_REMOVABLE
        for node in self._nodes:
            if isinstance(node, Unread) or node.counted_s is None or not wanted.holds(node.counted_s):
                return Usage.UNKNOWN
        return Usage.UNUSED

    def _used(self, entry: IndexEntry, wanted: Limit) -> bool:
        for node in self._nodes:
            count, ago = (0, None) if isinstance(node, Unread) else node.scans.get(entry.oid, (0, None))
            if count and (ago is None or ago < max(wanted.bound, _RECENT_S)):
                return True
        return False


def index_sizes(what: str, entries: Iterable[IndexEntry]) -> str:
    """`what`, with the largest of `entries` and their sizes."""
    return listed(what, [f"{entry.name} ({quantity(entry.bytes, 'bytes')})" for entry in entries])
