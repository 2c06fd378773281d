"""Values that sequences have given out: a restored sequence is never behind them, whatever uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.ledger.catalog_parts import dotted, own
from opsverify.recovery.ledger.names import as_regclass, in_sql
from opsverify.recovery.ledger.refusal import read_divided

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping
    from collections.abc import Sequence as Several

    from opsverify.recovery.ledger.queries import Source

READABLE: Final = "has_sequence_privilege({oid}, 'SELECT') AND has_schema_privilege({schema}, 'USAGE')"
"""SQL of whether a sequence can be read; its last value alone does not tell whether it was given out."""
_WHOLE: Final = "SELECT pg_sequence_last_value(%(sequence)s::text::regclass)"
"""Fails where the page is damaged; reading the sequence as a table finds no row there, or a wrong one."""
_AT_ONCE: Final = 200
"""Sequences read by one statement."""
_LISTED: Final = f"""
SELECT {dotted("n.nspname", "c.relname")} AS name, {in_sql("n.nspname")} || '.' || {in_sql("c.relname")} AS quoted,
       s.seqincrement AS increment, s.seqcycle AS cycles, s.seqmin AS least, s.seqmax AS most,
       {READABLE.format(oid="c.oid", schema="n.oid")} AS readable
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence <> 't' AND {own("c.oid", "pg_class")}
 ORDER BY 1
"""


@dataclass(frozen=True)
class SequenceValue:
    """Where a sequence stands: `last` (None: no right to read it), and whether that was given out (`called`)."""

    last: int | None
    increment: int
    cycles: bool
    called: bool = True

    @property
    def following(self) -> int | None:
        """The number that it gives next; None where it is not known."""
        if self.last is None:
            return None
        return self.last + self.increment if self.called else self.last

    def behind(self, recorded: SequenceValue) -> bool:
        """Whether it would give out again what `recorded` had given out, or had been set beyond."""
        if recorded.following is None or recorded.cycles or self.cycles or self.following is None:
            return False
        return (recorded.following - self.following) * (1 if recorded.increment > 0 else -1) > 0


@dataclass(frozen=True)
class Sequence:
    """A sequence as the catalog has it; its value lies in its own page."""

    name: str
    quoted: str
    increment: int
    cycles: bool
    least: int
    most: int
    readable: bool

    def value(self, source: Source) -> SequenceValue:
        """Read where it stands. Raises what the source raises where its page cannot be read."""
        if not self.readable:
            return SequenceValue(None, self.increment, self.cycles)
        last, called = standing(source, self.quoted)
        return SequenceValue(last, self.increment, self.cycles, called)


def standing(source: Source, quoted: str) -> tuple[int, bool]:
    """Return last value and whether it was given out, of one sequence that can be read.

    Raises what the source raises where its page is none of a sequence, Inconclusive where the page holds no row.
    """
    source(_WHOLE, {"sequence": as_regclass(quoted)})
    for last, called in source(f"SELECT last_value, is_called FROM {quoted}", {}):
        return int(last), bool(called)
    raise Inconclusive(say("sequence {name}: its page holds no row", name=quoted))


def list_sequences(source: Source) -> list[Sequence]:
    """Every sequence, from the catalog alone."""
    return [Sequence(*row) for row in source(_LISTED, {})]


def read_sequence_values(source: Source) -> dict[str, list[Any]]:
    """Return last value, step, whether it cycles and was called of every sequence, by `schema.sequence`."""
    refused: dict[str, str] = {}
    listed = list_sequences(source)
    values = dict(_values(source, [sequence for sequence in listed if sequence.readable], refused))
    if refused:  # dropped meanwhile, or its page cannot be read
        there = {sequence.name for sequence in list_sequences(source)}
        listed = [sequence for sequence in listed if sequence.name in there]
    return {
        sequence.name: [
            values.get(sequence.name, (None, True))[0],
            sequence.increment,
            sequence.cycles,
            values.get(sequence.name, (None, True))[1],
        ]
        for sequence in listed
    }


def _values(
    source: Source, sequences: list[Sequence], refused: MutableMapping[str, str]
) -> Iterator[tuple[str, tuple[int, bool]]]:
    by_name = {sequence.name: sequence for sequence in sequences}

    def read(names: Several[str]) -> list[tuple[str, tuple[int, bool]]]:
        sql = " UNION ALL ".join(
            f"SELECT {nth} AS nth, last_value, is_called FROM {by_name[name].quoted}" for nth, name in enumerate(names)
        )
        return [(names[nth], (int(last), bool(called))) for nth, last, called in source(sql, {})]

    names = list(by_name)
    for first in range(0, len(names), _AT_ONCE):
        yield from read_divided(names[first : first + _AT_ONCE], read, refused)


def values_of(raw: Mapping[str, list[Any]]) -> dict[str, SequenceValue]:
    """Read what `read_sequence_values` gave."""
    return {name: SequenceValue(*one) for name, one in raw.items()}
