"""Indexes of the platform's database, as the catalog and each node's counters have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.periodic.server_origin import server_origin

if TYPE_CHECKING:
    import datetime as dt

    from opsverify.probes.postgres import Postgres

# Two indexes with one signature do the same work: access method, columns with their operator classes, collations and
# order, included columns, expressions, predicate and storage options.
INDEXES: Final = """
SELECT i.indexrelid::bigint AS oid,
       coalesce(pg_partition_root(i.indexrelid), i.indexrelid)::bigint AS root,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
       quote_ident(n.nspname) || '.' || quote_ident(t.relname) AS table,
       c.relkind = 'I' AS partitioned,
       i.indisvalid AS valid, i.indisunique AS is_unique, i.indisprimary AS is_primary,
       i.indisexclusion AS is_exclusion, i.indisreplident AS is_identity,
       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) AS of_constraint,
       CASE WHEN c.relkind = 'I' THEN 0 ELSE pg_relation_size(i.indexrelid) END AS bytes,
       concat_ws('|', i.indrelid, a.amname, i.indkey, i.indnkeyatts, i.indclass, i.indcollation, i.indoption,
                 coalesce(pg_get_expr(i.indexprs, i.indrelid), '-'), coalesce(pg_get_expr(i.indpred, i.indrelid), '-'),
                 coalesce(array_to_string(c.reloptions, ','), '-'), i.indisexclusion) AS signature,
       i.indexprs IS NULL AND i.indpred IS NULL AND a.amname = 'btree' AND i.indisunique
         AND c.relkind = 'i' AND c.relpages > 0 AND c.reltuples > 0 AS estimable,
       c.reltuples::float8 AS tuples,
       (SELECT option_value::int FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor') AS fill,
       (SELECT sum(CASE WHEN attlen > 0 THEN attlen ELSE NULL END) FILTER (WHERE attnum > 0)
          FROM pg_attribute WHERE attrelid = i.indexrelid) AS width,
       (SELECT bool_and(attlen > 0) FROM pg_attribute WHERE attrelid = i.indexrelid AND attnum > 0) AS fixed_width,
       EXISTS (SELECT FROM pg_stat_progress_create_index p
                WHERE p.index_relid = i.indexrelid OR p.relid = i.indrelid) AS building
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_am a ON a.oid = c.relam
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
   AND t.relpersistence <> 't'
"""
HIDDEN_BUILDS: Final = (
    "SELECT count(*) FROM pg_stat_progress_create_index WHERE relid IS NULL AND datname = current_database()"
)
SCANS: Final = """
SELECT indexrelid::bigint AS oid, idx_scan AS scans, {last} AS last_at FROM pg_stat_user_indexes
"""
LAST_SCAN_SINCE: Final = 16
"""PostgreSQL's version that keeps when an index was scanned last."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One index; `root` is the index of the partitioned table that it is a part of, or itself."""

    oid: int
    root: int
    name: str
    table: str
    partitioned: bool
    valid: bool
    unique: bool
    removable: bool
    bytes: int
    signature: str
    building: bool
    expected_bytes: float | None
    """Size of a freshly built one; None where no estimate is known to be right."""


@dataclass(frozen=True, slots=True)
class NodeScans:
    """Scans of one node: counters by index, when each was scanned last (if known), and how long the node counts."""

    node: str
    counted_s: float | None
    scans: dict[int, tuple[int, float | None]]


def indexes(postgres: Postgres) -> tuple[IndexEntry, ...]:
    """Every index that is not the server's own. Raises Inconclusive where builds are hidden from the role."""
    if postgres.value(HIDDEN_BUILDS):
        raise Inconclusive(
            say("an index is being built, and which one is hidden; GRANT pg_read_all_stats TO the role of the probe")
        )
    return tuple(map(_entry, postgres.rows(INDEXES)))


def scans(postgres: Postgres, node: str) -> NodeScans:
    """The scans of one node. Raises Inconclusive."""
    origin = server_origin(postgres)
    last = "last_idx_scan" if origin.major >= LAST_SCAN_SINCE else "NULL::timestamptz"
    found = postgres.rows(SCANS.format(last=last))
    return NodeScans(
        node, origin.counted_s, {row.oid: (row.scans or 0, _ago(row.last_at, origin.now)) for row in found}
    )


def _ago(moment: dt.datetime | None, now: dt.datetime) -> float | None:
    return None if moment is None else (now - moment).total_seconds()


def _entry(row: Any) -> IndexEntry:  # noqa: ANN401 - a row
    kept = row.is_unique or row.is_primary or row.is_exclusion or row.is_identity or row.of_constraint
    return IndexEntry(
        row.oid, row.root, row.name, row.table, row.partitioned, row.valid, row.is_unique, not kept, row.bytes,
        row.signature, row.building, _fresh_bytes(row),
    )  # fmt: skip


_PAGE: Final = 8192
_USABLE: Final = _PAGE - 24 - 16
"""Bytes of a page that hold entries: without its header and what a B-tree keeps at its end."""
_LINE_POINTER: Final = 4
_ALIGNED: Final = 8
_HEADER: Final = 8
_FILL: Final = 90


def _fresh_bytes(row: Any) -> float | None:  # noqa: ANN401 - a row
    """Size of the index if it were built now.

    Known to be right for unique B-trees over columns of fixed width: entries are not merged, and none is shorter.
    """
    if not (row.estimable and row.fixed_width):
        return None
    entry = -(-(_HEADER + float(row.width)) // _ALIGNED) * _ALIGNED + _LINE_POINTER
    a_page = max(1.0, (_USABLE * (row.fill or _FILL) / 100) // entry)
    leaves = -(-row.tuples // a_page)
    inner = -(-leaves // 200)
    return float((1 + leaves + inner) * _PAGE)
