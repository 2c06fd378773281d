"""Page counts of every table, recorded as a baseline: a heap that lost its tail is shorter than it was.

A table's file may end in pages that never held a row: PostgreSQL extends a table ahead of need, by up to
`AHEAD` pages, and WAL does not bring these back. So of a small table the last page with a row is looked up, and of
a larger one that many pages are left out of account.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.recovery.facts import Source

AHEAD: Final = 64
"""Pages by which a table is extended at once, at most (MAX_BUFFERS_TO_EXTEND_BY in PostgreSQL's hio.c)."""

# A table that never lost or replaced a row is never shortened by VACUUM.
_PAGES: Final = """
SELECT n.nspname || '.' || c.relname AS name,
       pg_relation_size(c.oid) / current_setting('block_size')::int8 AS pages,
       coalesce(s.n_tup_upd + s.n_tup_del, 1) = 0 AS only_grows,
       c.relpersistence = 'u' AS unlogged,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted,
       has_table_privilege(c.oid, 'SELECT') AS readable
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')
"""


@dataclass(frozen=True)
class Pages:
    """Heap pages that one table needs for its rows, at least.

    `only_grows` where no row of it was ever changed or removed, as far as PostgreSQL's statistics know.
    """

    pages: int
    only_grows: bool
    unlogged: bool

    def as_json(self) -> dict[str, Any]:
        """As recorded in the ledger."""
        return asdict(self)


def read_pages(source: Source) -> dict[str, Pages]:
    """Return how many pages every table needs, by `schema.table`; of a small table up to `AHEAD` pages are read."""
    return {
        name: Pages(_needed(source, int(pages), quoted, readable=readable), grows, unlogged)
        for name, pages, grows, unlogged, quoted, readable in source(_PAGES, {})
    }


def read_sizes(source: Source) -> dict[str, int]:
    """Return how many pages every table has; file sizes are asked, no page is read."""
    return {row[0]: int(row[1]) for row in source(_PAGES, {})}


def _needed(source: Source, pages: int, quoted: str, *, readable: bool) -> int:
    if not readable or pages > AHEAD:
        return max(0, pages - AHEAD)
    ((last,),) = source(f"SELECT max(ctid)::text FROM {quoted}", {})
    return int(last.strip("()").partition(",")[0]) + 1 if last else 0


def shortened(recorded: Mapping[str, Pages], found: Mapping[str, int]) -> tuple[str, ...]:
    """List tables that only grow and have fewer pages than recorded; missing ones are the catalog's to name."""
    return tuple(
        f"{name} lost its tail: {found[name]:,} pages, at least {before.pages:,} recorded"
        for name, before in sorted(recorded.items())
        if name in found and before.only_grows and not before.unlogged and found[name] < before.pages
    )
