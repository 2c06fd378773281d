"""Finding of one question about a restored database: how much was verified, and each problem."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from opsverify.language.message import as_message, join, say
from opsverify.recovery.ledger.refusal import sqlstate
from opsverify.recovery.verify.loss import Keys, Loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

T = TypeVar("T")
Errors = type[Exception] | tuple[type[Exception], ...]
"""Exceptions that a question may end with; () where they are the caller's to judge."""
Cover = Literal["rows", "columns", "keys", "count", "changed", "none"]
"""How the rows of a table were compared: whole, but for some columns, by their keys, or not at all.

`changed`: the table changed since, within bounds; `count`, by number only, is what earlier versions said of that.
"""

DAMAGED = "XX"
"""SQLSTATE class of data that cannot be read back: XX001 data_corrupted, XX002 index_corrupted."""
GONE = ("42P01", "42703", "3F000")
"""A table, column or schema that was recorded does not exist any more."""
_FILE_GONE = "58P01"
"""undefined_file: damage where it is a relation's, and not a library that this machine lacks."""
_OF_A_RELATION = re.compile(r'"(?:base|global|pg_tblspc)/')


@dataclass(frozen=True)
class Finding:
    """How many things were verified (`asked`; `of` describes them), and one line for each problem.

    `unknown` is why it could not be measured; `notes` are for the evidence only. `losses` are the places where
    rows are missing or changed; `keys` the rows themselves, where they are known. `buckets` were compared;
    `cover` is how a table's rows were.
    """

    asked: int
    of: str
    problems: tuple[str, ...] = ()
    unknown: str | None = None
    notes: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    keys: Keys | None = None
    buckets: int = 0
    cover: Cover = "rows"

    def to_dict(self) -> dict[str, Any]:
        """As kept in a run's folder."""
        written = asdict(self)
        return written if self.cover != "rows" else {name: value for name, value in written.items() if name != "cover"}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Finding:
        """Read what `to_dict` wrote; earlier versions wrote no losses."""
        keys = raw.get("keys")
        return cls(
            raw["asked"],
            raw["of"],
            tuple(raw["problems"]),
            raw["unknown"],
            tuple(raw["notes"]),
            tuple(Loss(**loss) for loss in raw.get("losses", ())),
            Keys(**{kind: tuple(names) for kind, names in keys.items()}) if keys else None,
            raw.get("buckets", 0),
            raw.get("cover", "rows"),
        )


_COVERS: Final[tuple[Cover, ...]] = ("none", "changed", "count", "keys", "columns", "rows")


def joined(parts: Sequence[Finding], cover: Cover = "rows") -> Finding:
    """Join findings on parts of one table; it is covered as its least covered part is, and no better than `cover`.

    What could not be said of one part does not hide a problem of another: beside one it is a note.
    """
    problems = tuple(problem for part in parts for problem in part.problems)
    unknown = tuple(part.unknown for part in parts if part.unknown)
    return Finding(
        sum(part.asked for part in parts),
        join("; ", (part.of for nth, part in enumerate(parts) if part.of and (not nth or part.problems))),
        problems,
        None if problems else join("; ", unknown) or None,
        (*(note for part in parts for note in part.notes), *(unknown if problems else ())),
        tuple(loss for part in parts for loss in part.losses),
        next((part.keys for part in parts if part.keys), None),
        sum(part.buckets for part in parts),
        min((cover, *(part.cover for part in parts)), key=_COVERS.index),
    )


def finding_of(ask: Callable[[], Finding], *, errors: Errors) -> Finding:
    """Run `ask`; damage met there is a problem, any other of `errors` makes the finding unknown.

    Damage is recognised by the SQLSTATE of the error or of its cause.
    """
    try:
        return ask()
    except errors as error:
        message = as_message(str(error)).each(lambda text: " ".join(text.split()))
        if _is_damage(sqlstate(error), message):
            return Finding(1, say("questions met damage"), (message,))
        return Finding(0, say("nothing was measured"), unknown=message)


def apart(
    rows: Iterable[T], ask: Callable[[T], Iterable[str]], errors: Errors, name: Callable[[T], str]
) -> tuple[list[str], list[str]]:
    """Ask about each of `rows` by itself, so that damage met in one hides no other.

    Returns the problems, and why the others of which nothing is known could not be asked; each with its `name`.
    """
    problems: list[str] = []
    unknown: list[str] = []
    for row in rows:
        found = finding_of(lambda row=row: Finding(1, "", tuple(ask(row))), errors=errors)  # type: ignore[misc]
        problems += [_named(name(row), line) for line in found.problems]
        unknown += [_named(name(row), found.unknown)] if found.unknown else []
    return problems, unknown


def while_listed(
    ask: Callable[[T], Iterable[str]], listed: Callable[[], Iterable[T]], identity: Callable[[T], object]
) -> Callable[[T], list[str]]:
    """Return `ask`, which says nothing of a row that cannot be asked about and whose `identity` is not `listed` now.

    Production works on the database beside post-dr: what was dropped between its listing and its reading is no damage.
    """

    def asked(row: T) -> list[str]:
        try:
            return list(ask(row))
        except Exception:  # whatever a source raises: it is raised again, unless its row is gone
            if identity(row) in map(identity, listed()):
                raise
            return []

    return asked


def _named(name: str, line: str) -> str:
    return line if name in line else say("{name}: {line}", name=name, line=line)


def _is_damage(state: str, message: str) -> bool:
    lost = state == _FILE_GONE and _OF_A_RELATION.search(message) is not None
    return lost or state.startswith(DAMAGED) or state in GONE
