"""What one question after a restore came to."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DAMAGED = "XX"
"""SQLSTATE class of data that cannot be read back: XX001 data_corrupted, XX002 index_corrupted."""
GONE = ("42P01", "42703", "3F000")
"""A table, column or schema that was recorded does not exist any more."""
_FILE_GONE = "58P01"
"""undefined_file: damage where it is a relation's, and not a library that this machine lacks."""
_OF_A_RELATION = re.compile(r'"(?:base|global|pg_tblspc)/')


@dataclass(frozen=True)
class Compared:
    """The closed buckets of `table`: how many were compared, of how many rows, and which differ.

    `differ` holds (name, rows recorded, rows found), in order of names; `keys` says which rows these are, where the
    original database could tell.
    """

    table: str
    buckets: int
    rows: int
    differ: tuple[tuple[str, int, int], ...] = ()
    keys: str = ""

    @classmethod
    def of_json(cls, raw: Mapping[str, Any]) -> Compared:
        """Read what JSON made of one."""
        return cls(**{**raw, "differ": tuple((name, was, now) for name, was, now in raw["differ"])})

    @property
    def missing(self) -> int:
        """Rows fewer than were recorded, over all buckets."""
        return sum(max(0, was - now) for _, was, now in self.differ)

    @property
    def added(self) -> int:
        """Rows more than were recorded, over all buckets."""
        return sum(max(0, now - was) for _, was, now in self.differ)

    @property
    def changed(self) -> int:
        """Buckets with as many rows as were recorded, and other content."""
        return sum(was == now for _, was, now in self.differ)


@dataclass(frozen=True)
class Finding:
    """How many things were `asked` after (`of` says what they are), and one line for each problem.

    `unknown` says why it could not be measured; `notes` are for the evidence only; `compared` is what a question
    about buckets compared.
    """

    asked: int
    of: str
    problems: tuple[str, ...] = ()
    unknown: str | None = None
    notes: tuple[str, ...] = ()
    compared: Compared | None = None

    def as_json(self) -> dict[str, Any]:
        """As kept in a run's folder."""
        return asdict(self)

    def with_problems(self, more: tuple[str, ...]) -> Finding:
        """Return the same with further problems; what is known to be wrong outweighs what is unknown."""
        problems = tuple(dict.fromkeys((*self.problems, *more)))
        return replace(self, problems=problems, unknown=None if problems else self.unknown)

    @classmethod
    def of_json(cls, raw: Mapping[str, Any]) -> Finding:
        """Read what `as_json` wrote."""
        compared = Compared.of_json(raw["compared"]) if raw.get("compared") else None
        return cls(raw["asked"], raw["of"], tuple(raw["problems"]), raw["unknown"], tuple(raw["notes"]), compared)


def found(ask: Callable[[], Finding], *, errors: type[Exception] | tuple[type[Exception], ...]) -> Finding:
    """Carry `ask` out; damage on the way is a problem, any other of `errors` is a hole in knowledge.

    Damage is told by the SQLSTATE of the error or of its cause.
    """
    try:
        return ask()
    except errors as error:
        said = " ".join(str(error).split())
        if _is_damage(sqlstate(error), said):
            return Finding(1, "questions met damage", (said,))
        return Finding(0, "nothing was measured", unknown=said)


def _is_damage(state: str, said: str) -> bool:
    lost = state == _FILE_GONE and _OF_A_RELATION.search(said) is not None
    return lost or state.startswith(DAMAGED) or state in GONE


def sqlstate(error: BaseException | None) -> str:
    """Return the SQLSTATE of a database error or of the one that caused it; '' where there is none."""
    while error is not None:
        if state := getattr(error, "sqlstate", None):
            return str(state)
        error = error.__cause__
    return ""
