"""Values that sequences have given out: a restored sequence is never behind them, whatever uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.recovery.ledger.catalog_more import own

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.recovery.ledger.queries import Source

_COLUMNS: Final = """
SELECT n.nspname || '.' || c.relname AS name, s.seqincrement AS increment, s.seqcycle AS cycles"""
_LAST: Final = "CASE WHEN has_sequence_privilege(c.oid, 'SELECT') THEN pg_sequence_last_value(c.oid) END AS last"
_SEQUENCES: Final = f"""
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence <> 't' AND {own("c.oid", "pg_class")}
"""
_VALUES: Final = f"{_COLUMNS}, {_LAST}{_SEQUENCES}"
_LISTED: Final = f"{_COLUMNS}, c.oid::int8 AS oid, s.seqmin AS least, s.seqmax AS most{_SEQUENCES}"
_ONE: Final = f"SELECT {_LAST} FROM pg_class c WHERE c.oid = %(oid)s::oid"


@dataclass(frozen=True)
class SequenceValue:
    """The last value given out (None: none yet, or no right to read it) and the step."""

    last: int | None
    increment: int
    cycles: bool

    def behind(self, recorded: SequenceValue) -> bool:
        """Whether it would give out again what `recorded` had given out."""
        if recorded.last is None or recorded.cycles or self.cycles:
            return False
        return self.last is None or (recorded.last - self.last) * (1 if recorded.increment > 0 else -1) > 0


def read_sequence_values(source: Source) -> dict[str, list[Any]]:
    """Return last value, step and whether it cycles of every sequence, by `schema.sequence`, as recorded."""
    return {
        name: [None if last is None else int(last), int(increment), cycles]
        for name, increment, cycles, last in source(_VALUES, {})
    }


@dataclass(frozen=True)
class Sequence:
    """A sequence as the catalog has it; its value lies in its own page."""

    name: str
    increment: int
    cycles: bool
    oid: int
    least: int
    most: int

    def value(self, source: Source) -> SequenceValue:
        """Read its last value. Raises what the source raises where its page cannot be read."""
        ((last,),) = source(_ONE, {"oid": self.oid})
        return SequenceValue(None if last is None else int(last), self.increment, self.cycles)


def list_sequences(source: Source) -> list[Sequence]:
    """Every sequence, from the catalog alone."""
    return [Sequence(*row) for row in source(_LISTED, {})]


def values_of(raw: Mapping[str, list[Any]]) -> dict[str, SequenceValue]:
    """Read what `read_sequence_values` gave."""
    return {name: SequenceValue(*one) for name, one in raw.items()}
