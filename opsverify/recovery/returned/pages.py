"""Page counts of every table, recorded as a baseline: a heap that lost its tail is shorter than it was.

A table's file may end in pages that never held a row: PostgreSQL extends a table ahead of need, by up to
`AHEAD` pages, and WAL does not bring these back. So of a small table the last page with a row is looked up, and of
a larger one that many pages are left out of account.

Of a table that no index remembers, the pages that hold rows are recorded too: nothing else tells a page that was
zeroed from one that never held a row. Pages once recorded are not read again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
       has_table_privilege(c.oid, 'SELECT') AS readable,
       c.relfilenode::int8 AS file,
       NOT EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                     JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
                    WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL) AS forgotten
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')
"""


@dataclass(frozen=True)
class Held:
    """Pages of one table that held rows: closed ranges of page numbers, of the relation file `file`.

    Pages from `reached` on were not looked at yet.
    """

    file: int
    reached: int
    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of_json(cls, raw: Mapping[str, Any]) -> Held:
        """Read what the ledger recorded."""
        return cls(raw["file"], raw["reached"], tuple((first, last) for first, last in raw["ranges"]))

    def __contains__(self, page: int) -> bool:
        return any(first <= page <= last for first, last in self.ranges)

    @property
    def pages(self) -> tuple[int, ...]:
        """Their numbers, in order."""
        return tuple(page for first, last in self.ranges for page in range(first, last + 1))


@dataclass(frozen=True)
class Pages:
    """Heap pages that one table needs for its rows, at least.

    `only_grows` where no row of it was ever changed or removed, as far as PostgreSQL's statistics know; `held` of
    a table that no index remembers.
    """

    pages: int
    only_grows: bool
    unlogged: bool
    held: Held | None = None

    def as_json(self) -> dict[str, Any]:
        """As recorded in the ledger."""
        return asdict(self)

    @classmethod
    def of_json(cls, raw: Mapping[str, Any]) -> Pages:
        """Read what the ledger recorded, also before it knew of `held`."""
        held = Held.of_json(raw["held"]) if raw.get("held") else None
        return cls(raw["pages"], raw["only_grows"], raw["unlogged"], held)


def read_pages(source: Source, before: Mapping[str, Pages]) -> dict[str, Pages]:
    """Return how many pages every table needs, by `schema.table`; of a small table up to `AHEAD` pages are read.

    `before` is what the record before this one holds: of a table without an index only pages behind those are read.
    """
    found = {}
    for name, pages, grows, unlogged, quoted, readable, file, forgotten in source(_PAGES, {}):
        known = before[name].held if name in before else None
        held = _held(source, quoted, int(file), known) if forgotten and readable else None
        found[name] = Pages(_needed(source, int(pages), quoted, readable=readable), grows, unlogged, held)
    return found


def _held(source: Source, quoted: str, file: int, known: Held | None) -> Held:
    before = known if known and known.file == file else Held(file, 0)
    new = _with_rows(source, quoted, before.reached, None)
    return Held(file, new[-1] + 1 if new else before.reached, _joined(before.ranges, new))


def _with_rows(source: Source, quoted: str, first: int, end: int | None) -> list[int]:
    """Numbers of the pages from `first` on, up to before `end`, that hold a visible row (a TID range scan)."""
    until = f" AND ctid < '({end},0)'" if end is not None else ""
    sql = f"""SELECT DISTINCT (ctid::text::point)[0]::int8 AS page FROM {quoted}
               WHERE ctid >= '({first},0)'{until} ORDER BY 1"""
    return [int(page) for (page,) in source(sql, {})]


def _joined(ranges: tuple[tuple[int, int], ...], pages: list[int]) -> tuple[tuple[int, int], ...]:
    """`ranges` with further `pages` behind them, neighbours merged."""
    joined = list(ranges)
    for page in pages:
        if joined and page == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], page)
        else:
            joined.append((page, page))
    return tuple(joined)


def emptied(recorded: Mapping[str, Pages], source: Source) -> tuple[str, ...]:
    """List tables that only grow, with pages that held rows when they were recorded and hold none now.

    A table in another file was restored or rewritten as a whole: its rows lie elsewhere, and the buckets tell.
    """
    now = {row[0]: (row[4], int(row[6])) for row in source(_PAGES, {})}
    lines = []
    for name, before in sorted(recorded.items()):
        held = before.held
        if held is None or not held.ranges or before.unlogged or not before.only_grows or name not in now:
            continue
        quoted, file = now[name]
        if file != held.file:
            continue
        there = set(_with_rows(source, quoted, held.ranges[0][0], held.reached))
        gone = [page for page in held.pages if page not in there]
        if gone:
            lines.append(f"{name}: pages {numbers(gone)} held rows when they were recorded, and hold none now")
    return tuple(lines)


def numbers(pages: Sequence[int], most: int = 5) -> str:
    """Page numbers for a message."""
    shown = ", ".join(map(str, pages[:most]))
    return f"{shown} and {len(pages) - most:,} more" if len(pages) > most else shown


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
