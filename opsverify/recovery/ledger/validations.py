"""Validations: SQL files whose result is recorded before a disaster and compared after it; the runbook's, and own ones.

A file begins with comments. Those after a line `-- [validation]` are TOML: titles, runbook line, the table that it
reads, window and bucket, and what its columns are, in their order: key, state, compared.

- Compared values are equal, key by key, up to the tolerance.
- A `state` is one that rows leave until they reach one of the `final` ones. All rows of a key together are equal
  (`ALL`): one row lost or added shows there. Of each final state *at least* the recorded number is found: what was
  under way may have ended since, and what has ended does not begin again.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, TypeAdapter, ValidationError

from opsverify.config.section import Duration, Section
from opsverify.config.wrong_value import key_of, problem_of
from opsverify.errors import Inconclusive
from opsverify.language.message import join, say
from opsverify.recovery.ledger.queries import SETTLE, Facts, Value, Window, fingerprint
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from opsverify.recovery.ledger.queries import Row, Source

ALL: Final = "ALL"
"""Stands for a state: all rows of a key together."""
ROWS: Final = "rows"
"""The compared column that counts rows."""
_EXISTS: Final = "SELECT to_regclass(%(table)s::text) IS NOT NULL"
_HEADER: Final = "[validation]"


class Header(Section):
    """What a validation's file says of itself. `per` are the ids of its checks: one, one a state, or one a key."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    ko: str
    en: str
    runbook: tuple[str, ...] = ()
    table: str
    window: Duration
    bucket: Duration
    key: tuple[str, ...] = Field(min_length=1)
    state: str | None = None
    final: tuple[str, ...] = ()
    compared: tuple[str, ...] = (ROWS,)
    tolerance: float = Field(default=0.0, ge=0, lt=1)
    per: str = Field(default="", pattern="^(|state|key)$")


@dataclass(frozen=True)
class Validation:
    """One validation: its header, its file, its SQL."""

    header: Header
    query: str
    sql: str

    @property
    def name(self) -> str:
        """Its id, by which the ledger knows it."""
        return self.header.id

    @property
    def fingerprint(self) -> str:
        """What another version of its SQL does not share."""
        return fingerprint(self.sql)

    def window(self, at: dt.datetime, zone: dt.tzinfo) -> Window:
        """Return the closed buckets before `at`; of dates in `zone` when its buckets are days."""
        settled = at - SETTLE
        bucket = dt.timedelta(seconds=parse_duration(self.header.bucket))
        reach = dt.timedelta(seconds=parse_duration(self.header.window))
        if bucket >= dt.timedelta(days=1):
            until = settled.astimezone(zone).date()
            return Window(until - reach, until)
        end = _floor(settled, bucket)
        return Window(end - reach, end)

    def facts(self, rows: Iterable[Row]) -> Facts:
        """Return what was found under each key."""
        if self.header.state is not None:
            return self._states(rows)
        width = len(self.header.key)
        return {
            "-".join(map(_text, row[:width])): {
                name: _value(name, value) for name, value in zip(self.header.compared, row[width:], strict=True)
            }
            for row in rows
        }

    def _states(self, rows: Iterable[Row]) -> Facts:
        counted: Counter[str] = Counter()
        width = len(self.header.key)
        for row in rows:
            key, state, count = "-".join(map(_text, row[:width])), row[width], int(row[width + 1])
            counted[f"{ALL}@{key}"] += count
            if state in self.header.final:
                counted[f"{state}@{key}"] += count
        return {key: {ROWS: count} for key, count in counted.items()}

    def group(self, key: str) -> str:
        """Return the id under which a check gathers `key`: its state, itself, or nothing."""
        if self.header.per == "state":
            return key.partition("@")[0]
        return key if self.header.per == "key" else ""

    def equal(self, key: str, before: Mapping[str, Value] | None, after: Mapping[str, Value] | None) -> bool:
        """Whether what was found is what was recorded."""
        if self.header.state is not None and key.partition("@")[0] != ALL:
            return _rows(after) >= _rows(before)
        if before == after:
            return True
        if not self.header.tolerance or before is None or after is None or before.keys() != after.keys():
            return False
        return all(_near(before[name], after[name], self.header.tolerance) for name in before)


def read_validations(folder: Path, own: Sequence[Path] = ()) -> dict[str, Validation]:
    """Return the validations of `folder` in the order of its files, then the `own` ones of a target, by name.

    Raises Inconclusive, naming file and key, where one cannot be read or an id is there twice.
    """
    found: dict[str, Validation] = {}
    for path in (*sorted(folder.glob("*.sql")), *own):
        one = read_validation(path)
        if one.name in found:
            raise Inconclusive(
                say(
                    "{path}: id {name!r} is already that of {query}; choose another",
                    path=path,
                    name=one.name,
                    query=found[one.name].query,
                )
            )
        found[one.name] = one
    return found


def read_validation(path: Path) -> Validation:
    """Read one file. Raises Inconclusive as `read_validations`."""
    try:
        sql = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Inconclusive(say("validation {path} cannot be read: {error}", path=path, error=error)) from error
    try:
        header = TypeAdapter(Header).validate_json(TypeAdapter(dict[str, Any]).dump_json(_header(sql)))
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise Inconclusive(
            say(
                "{path}: no header: {error}; expected a comment `-- [validation]` and TOML in comments after it",
                path=path,
                error=error,
            )
        ) from error
    except ValidationError as error:
        problems = join("; ", (join(": ", (key_of(detail), problem_of(detail))) for detail in error.errors()))
        raise Inconclusive(say("{path}: {problems}", path=path, problems=problems)) from error
    return Validation(header, path.name, sql)


def recordable(
    source: Source, validations: Mapping[str, Validation], not_applicable: Iterable[str] = ()
) -> dict[str, Validation]:
    """Return the validations whose table is in the database, without those that the target says are not applicable."""
    out = set(not_applicable)
    return {
        name: one
        for name, one in validations.items()
        if name not in out and next(iter(source(_EXISTS, {"table": one.header.table})))[0]
    }


def _header(sql: str) -> dict[str, Any]:
    comments = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        comments.append(line.removeprefix("--").strip())
    begin = comments.index(_HEADER) if _HEADER in comments else len(comments)
    content: dict[str, Any] = tomllib.loads("\n".join(comments[begin:]))[_HEADER.strip("[]")]
    return content


def _near(before: Value, after: Value, tolerance: float) -> bool:
    try:
        one, other = Decimal(str(before)), Decimal(str(after))
    except InvalidOperation:
        return before == after
    return abs(one - other) <= abs(one) * Decimal(str(tolerance))


def _rows(values: Mapping[str, Value] | None) -> int:
    return int(values[ROWS] or 0) if values else 0


def _floor(moment: dt.datetime, step: dt.timedelta) -> dt.datetime:
    moment = moment.astimezone(dt.UTC)
    return moment - (moment - dt.datetime(2000, 1, 1, tzinfo=dt.UTC)) % step


def _text(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%MZ")
    if isinstance(value, dt.date):
        return value.isoformat()
    # Check ids are ASCII; a line named otherwise stays recognisable and unique.
    return str(value).encode("ascii", "backslashreplace").decode()


def _value(name: str, value: object) -> Value:
    if name == ROWS:
        return int(str(value))
    if value is None:
        return None
    try:
        text = format(Decimal(str(value)), "f")
    except InvalidOperation:
        return str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text
