"""The core tables of the ledger: which there are, by which column they fall into buckets, what of them is hashed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from opsverify.errors import Inconclusive
from opsverify.recovery.ledger.row_hash import Column, columns, row_hash
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opsverify.recovery.ledger.queries import Source

Kind = Literal["time", "local", "date", "integer"]
"""What a bucket column holds: timestamptz, timestamp (of an unknown zone), date, or whole numbers."""

HOUR_S: Final = 3600
DAY_S: Final = 86400
KEYS: Final = 8192
"""Width of an integer bucket, where the target gives none; of a power of two the bucket is worked out fastest."""

_KINDS: Final[dict[str, Kind]] = {
    "timestamptz": "time",
    "timestamp": "local",
    "date": "date",
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
}
_WIDTHS: Final[dict[Kind, int]] = {"time": HOUR_S, "local": HOUR_S, "date": 1, "integer": KEYS}

TABLES: Final = """
SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted,
       (SELECT array_agg(a.attname ORDER BY k.nth) FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k (num, nth)
          JOIN pg_attribute a ON a.attnum = k.num
         WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND k.nth <= i.indnkeyatts)::text[] AS key,
       (SELECT array_agg(DISTINCT a.attname) FROM pg_index i JOIN pg_attribute a ON a.attnum = i.indkey[0]
         WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND a.attrelid = c.oid)::text[] AS leading,
       greatest(c.reltuples, 0)::int8 AS estimate,
       coalesce(s.n_tup_upd, 0) AS updates,
       has_table_privilege(c.oid, 'SELECT') AS readable
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                                             AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
"""
"""Every permanent table outside the system's schemas and of no extension; partitions by their root."""


@dataclass(frozen=True)
class TableChoice:
    """Settings of a target for one table; None and empty mean: as found in the catalog."""

    bucket: str | None = None
    width: str | int | None = None
    mutable: tuple[str, ...] = ()
    retention: str | None = None


@dataclass(frozen=True)
class CoreTable:
    """One table of the ledger, with names quoted for SQL where they are SQL.

    `width` is in seconds (times), days (dates) or keys (integers); `terms` are hashed, `hashed` names their
    columns; `key` is the primary key in SQL, empty where there is none; rows fulfil `where`, if given.
    """

    name: str
    quoted: str
    bucket: str
    kind: Kind
    width: int
    key: tuple[str, ...]
    terms: tuple[str, ...]
    hashed: tuple[str, ...]
    where: str | None
    indexed: bool
    retention_s: float | None = None

    @property
    def hash(self) -> str:
        """The row's hash in SQL, over the alias `t`."""
        return row_hash(self.terms)

    @property
    def start(self) -> str:
        """The start of a row's bucket in SQL, over the alias `t`; of whole numbers the bucket's number."""
        column, width = f"t.{self.bucket}", self.width
        if self.kind == "time":
            return f"date_bin('{width} seconds', {column}, timestamptz '2000-01-01 00:00:00+00')"
        if self.kind == "local":
            return f"date_bin('{width} seconds', {column}, timestamp '2000-01-01 00:00:00')"
        if self.kind == "integer" and width & (width - 1) == 0:
            return f"{column}::int8 >> {width.bit_length() - 1}"  # rounds down, also below zero
        number = f"{column}::int8" if self.kind == "integer" else f"({column} - date '2000-01-01')"
        floor = number if width == 1 else f"({number} - mod(mod({number}, {width}) + {width}, {width}))"
        return f"{floor} / {width}" if self.kind == "integer" else f"date '2000-01-01' + {floor}"

    @property
    def fingerprint(self) -> str:
        """What two captures must share for their buckets to be one series (retention may change)."""
        text = json.dumps(asdict(replace(self, retention_s=None, indexed=True)), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """As recorded in the ledger."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> CoreTable:
        """Read what `to_dict` gave. Raises TypeError, KeyError or ValueError for anything else."""
        return cls(**{**raw, **{name: tuple(raw[name]) for name in ("key", "terms", "hashed")}})


def core_tables(
    source: Source, chosen: Mapping[str, TableChoice], tag_column: str | None = None
) -> tuple[tuple[CoreTable, ...], tuple[str, ...]]:
    """Return the tables to record, and one line for each that cannot be.

    With `chosen` (by `table` or `schema.table`) these and no others; without, every table that has a bucket
    column: a time or date, or the first column of an integer key, one that leads an index before others. Of a
    table that sees updates, and whose mutable columns are not given, only key and bucket column are hashed.
    Rows with a value in `tag_column` are synthetic and left out. Raises Inconclusive for a chosen table or
    column that is not there.
    """
    found = list(source(TABLES, {}))
    names = {name: row for row in found for name in (row[2], f"{row[1]}.{row[2]}")}
    if unknown := [name for name in chosen if name not in names]:
        raise Inconclusive(f"[recovery.tables] names {', '.join(unknown)}: no such table; tables: {_listed(found)}")
    wanted = [(names[name], choice, name) for name, choice in chosen.items()] or [
        (row, TableChoice(), "") for row in found
    ]
    tables, skipped = [], []
    for row, choice, given in wanted:
        oid, schema, name, quoted, key, leading, _estimate, updates, readable = row
        label = name if schema == "public" else f"{schema}.{name}"
        cols = columns(source, oid)
        bucket = _bucket(cols, choice, key or (), leading or (), label)
        if bucket is None or not readable:
            skipped.append(f"{label}: " + ("no right to read it" if not readable else "no bucket column"))
            continue
        kind = _KINDS[bucket.base_type]
        hashed = _hashed(cols, choice, key or (), bucket, guess=not given and updates > 0)
        by_name = {column.name: column for column in cols}
        tag = by_name.get(tag_column or "")
        tables.append(
            CoreTable(
                name=label,
                quoted=quoted,
                bucket=bucket.quoted,
                kind=kind,
                width=_width(choice, kind, label),
                key=tuple(by_name[part].quoted for part in key or ()),
                terms=tuple(column.term for column in hashed),
                hashed=tuple(column.name for column in hashed),
                where=f"t.{tag.quoted} IS NULL" if tag else None,
                indexed=bucket.name in (leading or ()),
                retention_s=parse_duration(choice.retention) if choice.retention else None,
            )
        )
    return tuple(tables), tuple(skipped)


def _bucket(
    cols: Sequence[Column], choice: TableChoice, key: Sequence[str], leading: Sequence[str], label: str
) -> Column | None:
    if choice.bucket is not None:
        named = next((column for column in cols if column.name == choice.bucket), None)
        if named is None or named.base_type not in _KINDS:
            kind = f"is of type {named.type}" if named else "does not exist"
            raise Inconclusive(
                f"[recovery.tables.{label}] bucket {choice.bucket!r} {kind}: "
                "expected a timestamp, date or integer column"
            )
        return named
    return min(_candidates(cols, key, leading), default=(0, 0, 0, None), key=lambda entry: entry[:3])[3]


def _candidates(
    cols: Sequence[Column], key: Sequence[str], leading: Sequence[str]
) -> Iterator[tuple[bool, bool, int, Column]]:
    for place, column in enumerate(cols):
        kind = _KINDS.get(column.base_type)
        if kind is None or not column.not_null or (kind == "integer" and tuple(key[:1]) != (column.name,)):
            continue
        yield column.name not in leading, kind == "integer", place, column


def _hashed(
    cols: Sequence[Column], choice: TableChoice, key: Sequence[str], bucket: Column, *, guess: bool
) -> tuple[Column, ...]:
    if unknown := [name for name in choice.mutable if name not in {column.name for column in cols}]:
        raise Inconclusive(f"[recovery.tables] mutable names {', '.join(unknown)}: no such column")
    if guess and key:
        return tuple(column for column in cols if column.name in (*key, bucket.name))
    return tuple(column for column in cols if column.name not in choice.mutable)


def _width(choice: TableChoice, kind: Kind, label: str) -> int:
    if choice.width is None:
        return _WIDTHS[kind]
    if kind == "integer":
        width = int(choice.width) if str(choice.width).isdigit() else 0
    else:
        seconds = parse_duration(str(choice.width))
        width = int(seconds // DAY_S) if kind == "date" else int(seconds)
    if width < 1:
        expected = {"integer": "a number of keys such as 10000", "date": 'days such as "1d"'}.get(kind, '"1h"')
        raise Inconclusive(f"[recovery.tables.{label}] width {choice.width!r}: expected {expected}")
    return width


def _listed(found: Sequence[Sequence[Any]]) -> str:
    return ", ".join(str(row[2]) for row in found) or "none"
