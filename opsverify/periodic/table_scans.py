"""Scans of whole tables: large ones that are read from end to end again and again lack an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.history.snapshot import Snapshot
from opsverify.periodic.server_origin import server_origin

if TYPE_CHECKING:
    from opsverify.history.compare import Pair
    from opsverify.probes.postgres import Postgres

SUBJECT: Final = "postgres.tables"
KEPT_DAYS: Final = 100
LARGE: Final = 10_000
"""Rows; a smaller table is read whole as fast as through an index."""
_DAY_S: Final = 86400.0
TABLES: Final = """
SELECT quote_ident(schemaname) || '.' || quote_ident(relname) AS name, seq_scan, seq_tup_read,
       coalesce(idx_scan, 0) AS idx_scan, idx_scan IS NULL AS without_index, n_live_tup
  FROM pg_stat_user_tables
"""


@dataclass(frozen=True, slots=True)
class ScannedTable:
    """A large table, and how often a day it was read from end to end."""

    name: str
    a_day: float
    rows: int
    without_index: bool


def table_counters(postgres: Postgres) -> Snapshot:
    """The counters of every table as they are now. Raises Inconclusive."""
    found = server_origin(postgres)
    rows = {row.name: {k: v for k, v in row._asdict().items() if k != "name"} for row in postgres.rows(TABLES)}
    return Snapshot(SUBJECT, found.now, found.origin, rows, 1.0, KEPT_DAYS)


def scanned(pair: Pair) -> tuple[ScannedTable, ...]:
    """Large tables by how often a day they were read whole, most first."""
    found = []
    for name, grown in pair.growths("seq_scan", "seq_tup_read"):
        row = pair.later.rows[name]
        rows = int(row["n_live_tup"] or 0)
        if rows >= LARGE:
            whole = grown["seq_tup_read"] / rows * _DAY_S / pair.span_s
            found.append(ScannedTable(name, whole, rows, bool(row["without_index"])))
    return tuple(sorted(found, key=lambda table: -table.a_day))
