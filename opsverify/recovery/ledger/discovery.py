"""Discovery of a database's tables: every one, with the column by which its rows fall into buckets.

What the target does not say is taken from the catalog, from statistics, and from what earlier captures saw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.ledger.names import in_sql, label, narrowed
from opsverify.recovery.ledger.row_hash import Column, columns
from opsverify.recovery.ledger.tables import CoreTable, Kind, TableChoice
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opsverify.recovery.ledger.queries import Source

HOUR_S: Final = 3600
DAY_S: Final = 86400
KEYS: Final = 8192
"""Width of an integer bucket, where the target gives none; of a power of two the bucket is worked out fastest."""
ROWS_PER_SLOT: Final = 4096
"""Rows of a hash bucket, about; a table with fewer is one bucket."""
SLOTS: Final = 1024
"""Hash buckets of a table, at most."""
IN_ORDER: Final = 0.5
"""The least correlation between a column's values and its rows' places with which rows count as in its order."""

ENOUGH: Final = 10_000
"""Rows with which a correlation says something."""
_KINDS: Final[dict[str, Kind]] = {
    "timestamptz": "time",
    "timestamp": "local",
    "date": "date",
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
}
_WIDTHS: Final[dict[Kind, int]] = {"time": HOUR_S, "local": HOUR_S, "date": 1, "integer": KEYS}


def _counted(function: str) -> str:
    """Return the SQL of the sum of `function` over a table, or over the partitions of one."""
    parts = f"(SELECT coalesce(sum({function}(p.relid)), 0)::int8 FROM pg_partition_tree(c.oid) p WHERE p.isleaf)"
    return f"CASE c.relkind WHEN 'r' THEN {function}(c.oid) ELSE {parts} END"


TABLES: Final = f"""
SELECT c.oid::int8 AS oid, n.nspname || '.' || c.relname AS name, {label("n.nspname", "c.relname")} AS label,
       {in_sql("n.nspname")} || '.' || {in_sql("c.relname")} AS quoted,
       (SELECT array_agg(a.attname ORDER BY k.nth) FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k (num, nth)
          JOIN pg_attribute a ON a.attnum = k.num
         WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND k.nth <= i.indnkeyatts)::text[] AS key,
       (SELECT array_agg(DISTINCT a.attname) FROM pg_index i JOIN pg_attribute a ON a.attnum = i.indkey[0]
         WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND a.attrelid = c.oid)::text[] AS leading,
       CASE WHEN c.relkind = 'r' AND c.reltuples > 0 THEN c.reltuples::int8
            ELSE coalesce({_counted("pg_relation_size")}, 0) / 100
        END AS estimate,
       {_counted("pg_stat_get_tuples_inserted")} AS inserts, {_counted("pg_stat_get_tuples_updated")} AS updates,
       {_counted("pg_stat_get_tuples_deleted")} AS deletes,
       has_table_privilege(c.oid, 'SELECT') AS readable, {narrowed("c.oid")} AS narrowed,
       c.relkind = 'p' AS partitioned,
       (SELECT array_agg(x.attname) FROM pg_stats x
         WHERE x.schemaname = n.nspname AND x.tablename = c.relname AND NOT x.inherited
           AND abs(x.correlation) < {IN_ORDER} AND c.reltuples > {ENOUGH})::text[] AS unordered
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                                             AND d.deptype = 'e'
                                             AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.oid = d.refobjid
                                                                AND c.oid = ANY (e.extconfig)))
 ORDER BY n.nspname, c.relname
"""
"""Every permanent table outside the system's schemas, partitions by their root.

Of extensions only what they declare to be configuration: pg_dump writes its rows, too.
"""


@dataclass(frozen=True)
class Evidence:
    """What earlier captures found out of a table: columns that were `changing` (None: no update was seen yet).

    `late` where rows were added to, or removed from, buckets that were closed: rows are not in the column's order.
    """

    changing: frozenset[str] | None = None
    late: bool = False


class _Row(NamedTuple):
    """One row of `TABLES`."""

    oid: int
    name: str
    label: str
    quoted: str
    key: list[str] | None
    leading: list[str] | None
    estimate: int
    inserts: int
    updates: int
    deletes: int
    readable: bool
    narrowed: bool
    partitioned: bool
    unordered: list[str] | None


class Activity(NamedTuple):
    """Rows that were inserted, updated and deleted in a table, as far as PostgreSQL's statistics reach back."""

    inserts: int
    updates: int
    deletes: int


@dataclass(frozen=True)
class FoundTables:
    """The tables of a database: those to record, with their activity and estimate; one line for each other one."""

    tables: tuple[CoreTable, ...]
    skipped: tuple[str, ...]
    activity: Mapping[str, Activity] = field(default_factory=dict)
    estimates: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, tuple[Column, ...]] = field(default_factory=dict)

    @property
    def mutable(self) -> dict[str, tuple[Column, ...]]:
        """The columns of each table that are not hashed."""
        return {
            table.name: tuple(column for column in self.columns[table.name] if column.name not in table.hashed)
            for table in self.tables
        }


def find_tables(
    source: Source,
    chosen: Mapping[str, TableChoice],
    tag_column: str | None = None,
    evidence: Mapping[str, Evidence] | None = None,
    left_out: Iterable[str] = (),
) -> FoundTables:
    """Return every table of the database but those `left_out` (by `table` or `schema.table`, as in `chosen`).

    `chosen` has the settings of some. Of a table that sees updates, whose mutable columns neither the target nor the
    `evidence` of earlier captures gives, only key and bucket column are hashed. Rows with a value in `tag_column`
    are synthetic and left out. Raises Inconclusive for a chosen table or column that is not there.
    """
    found = [_Row(*row) for row in source(TABLES, {})]
    # A name with a dot of its own may be written as it is, where it is no other table's.
    names = {row.name: row for row in found} | {row.label: row for row in found}
    if unknown := [name for name in chosen if name not in names]:
        raise Inconclusive(say("[recovery.tables] names {unknown}: no such table; tables: {listed}",
            unknown=", ".join(unknown), listed=_listed(found)))  # fmt: skip
    choices = {names[name].oid: choice for name, choice in chosen.items()}
    out = {names[name].oid for name in left_out if name in names}
    tables: list[CoreTable] = []
    skipped: list[str] = []
    all_columns: dict[str, tuple[Column, ...]] = {}
    for row in found:
        if row.oid in out:
            continue
        cols = columns(source, row.oid)
        if not {*(row.key or ())} <= {column.name for column in cols}:
            continue  # dropped, or altered, meanwhile
        if reason := _unreadable(row):
            skipped.append(f"{row.label}: {reason}")
            continue
        table = _table(row, cols, choices.get(row.oid), tag_column, (evidence or {}).get(row.label, Evidence()))
        all_columns[table.name] = _stored(cols)
        tables.append(table)
    return FoundTables(tuple(tables), tuple(skipped), {row.label: Activity(row.inserts, row.updates,
        row.deletes) for row in found}, {row.label: row.estimate for row in found}, all_columns)  # fmt: skip


def _unreadable(row: _Row) -> str:
    if not row.readable:
        return say("no right to read it")
    return say("row security narrows what this role reads; GRANT it BYPASSRLS") if row.narrowed else ""


def _table(
    row: _Row, cols: Sequence[Column], choice: TableChoice | None, tag_column: str | None, evidence: Evidence
) -> CoreTable:
    given = choice or TableChoice()
    key, leading = row.key or (), row.leading or ()
    unordered = () if given.bucket else row.unordered or ()
    bucket = _bucket(cols, given, key, leading, unordered, row.label)
    if evidence.late and given.bucket is None:
        bucket = None
    by_name = {column.name: column for column in cols}
    tag = by_name.get(tag_column or "")
    guess = choice is None and row.updates > 0 and bucket is not None
    hashed = _hashed(cols, given, key, bucket, evidence.changing if guess else frozenset())
    kind: Kind = _KINDS[bucket.base_type] if bucket else "hash"
    return CoreTable(name=row.label, quoted=row.quoted, bucket=bucket.quoted if bucket else "", kind=kind,
        width=_width(given, kind, row.label) if bucket else _slots(row.estimate),
        key=tuple(by_name[part].quoted for part in key), terms=tuple(column.term for column in hashed),
        hashed=tuple(column.name for column in hashed), where=f"t.{tag.quoted} IS NULL" if tag else None,
        indexed=bucket is not None and bucket.name in leading,
        retention_s=parse_duration(given.retention) if given.retention else None, partitioned=row.partitioned,
        key_terms=tuple(by_name[part].term for part in key),
        keys_only=guess and evidence.changing is None and len(hashed) < len(_stored(cols)),
        declared=choice is not None)  # fmt: skip


def _stored(cols: Sequence[Column]) -> tuple[Column, ...]:
    return tuple(column for column in cols if not column.virtual)


def _slots(estimate: int) -> int:
    """Return a power of two, by which about `ROWS_PER_SLOT` rows fall into a slot."""
    wanted = estimate // ROWS_PER_SLOT
    return min(SLOTS, 1 << max(0, wanted.bit_length()) if wanted else 1)


def _bucket(
    cols: Sequence[Column],
    choice: TableChoice,
    key: Sequence[str],
    leading: Sequence[str],
    unordered: Sequence[str],
    label: str,
) -> Column | None:
    if choice.bucket is not None:
        named = next((column for column in cols if column.name == choice.bucket), None)
        if named is None or named.base_type not in _KINDS:
            kind = say("is of type {type}", type=named.type) if named else say("does not exist")
            raise Inconclusive(
                say(
                    "[recovery.tables.{label}] bucket {bucket!r} {kind}: expected a timestamp, date or integer column",
                    label=label,
                    bucket=choice.bucket,
                    kind=kind,
                )
            )
        return named
    candidates = (entry for entry in _candidates(cols, key, leading) if entry[3].name not in unordered)
    return min(candidates, default=(0, 0, 0, None), key=lambda entry: entry[:3])[3]


def _candidates(
    cols: Sequence[Column], key: Sequence[str], leading: Sequence[str]
) -> Iterator[tuple[bool, bool, int, Column]]:
    for place, column in enumerate(cols):
        kind = _KINDS.get(column.base_type)
        if (
            kind is None
            or not column.not_null
            or column.virtual
            or (kind == "integer" and tuple(key[:1]) != (column.name,))
        ):
            continue
        yield column.name not in leading, kind == "integer", place, column


def _hashed(
    cols: Sequence[Column],
    choice: TableChoice,
    key: Sequence[str],
    bucket: Column | None,
    changing: frozenset[str] | None,
) -> tuple[Column, ...]:
    """Return the columns to hash: all but those that change; only what names a row where it is not known which do."""
    if unknown := [name for name in choice.mutable if name not in {column.name for column in cols}]:
        raise Inconclusive(say("[recovery.tables] mutable names {unknown}: no such column", unknown=", ".join(unknown)))
    naming, stored = (*key, *([bucket.name] if bucket else [])), _stored(cols)
    if changing is None and key:
        return tuple(column for column in stored if column.name in naming)
    out = {*choice.mutable, *(changing or ())} - {*naming}
    return tuple(column for column in stored if column.name not in out) or stored


def _width(choice: TableChoice, kind: Kind, label: str) -> int:
    if choice.width is None:
        return _WIDTHS[kind]
    if kind == "integer":
        width = int(choice.width) if str(choice.width).isdigit() else 0
    else:
        seconds = parse_duration(str(choice.width))
        width = int(seconds // DAY_S) if kind == "date" else int(seconds)
    if width < 1:
        expected = {"integer": say("a number of keys such as 10000"), "date": say('days such as "1d"')}.get(kind,
            '"1h"')  # fmt: skip
        raise Inconclusive(say("[recovery.tables.{label}] width {width!r}: expected {expected}", label=label,
            width=choice.width, expected=expected))  # fmt: skip
    return width


def _listed(found: Sequence[_Row]) -> str:
    return ", ".join(row.label for row in found) or say("none")
