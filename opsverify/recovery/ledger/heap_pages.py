"""Heap pages that hold rows, of every table, recorded as a baseline: PostgreSQL reads a page of zeros as an empty one.

A later capture reads what the table grew by (a TID range scan), the last page known, and once more the pages that
the capture before found empty: rows of transactions that were under way are there by then. A table that became
shorter, or was rewritten (another file), is read anew.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opsverify.recovery.ledger.names import in_sql, plain
from opsverify.recovery.ledger.refusal import read_apart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opsverify.recovery.ledger.queries import Source

AHEAD: Final = 64
"""Pages by which a table is extended at once, at most (MAX_BUFFERS_TO_EXTEND_BY in PostgreSQL's hio.c)."""
EXACT: Final = 8192
"""Pages that are read at once, at most, for the rows of each one to be recorded; of more only those of a run."""
RUN: Final = 1024
"""Pages whose rows are counted together, at most: the ledger's size follows the table's by 1 in several 100,000."""
SLICE: Final = 65_536
"""Pages that one statement reads, at most: half a gigabyte, one or two seconds."""
AGAIN: Final = 64
"""Empty stretches that are looked at a second time, at most."""

# A table that never lost or replaced a row is never shortened by VACUUM. `vacuumed` changes with every VACUUM and
# ANALYZE that finds another table than the last one did; both set `relpages` to the length that they find or leave.
_STATES: Final = f"""
SELECT {plain("n.nspname", "c.relname")} AS name,
       coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::int8 AS size,
       coalesce(s.n_tup_upd + s.n_tup_del, 1) = 0 AS only_grows,
       c.relpersistence = 'u' AS unlogged,
       {in_sql("n.nspname")} || '.' || {in_sql("c.relname")} AS quoted,
       has_table_privilege(c.oid, 'SELECT') AND a.amname = 'heap' AS readable,
       pg_relation_filenode(c.oid)::int8 AS file,
       c.relpages AS vacuumed_size,
       concat_ws(' ', c.relpages, c.reltuples, c.relallvisible, c.relfrozenxid) AS vacuumed
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_am a ON a.oid = c.relam
  LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')
 ORDER BY 1
"""

# The last page with a row is a run of its own: it may still take rows, and the next capture counts it anew.
_RUNS: Final = f"""
WITH held AS (SELECT (ctid::text::point)[0]::int8 AS page, count(*) AS rows FROM ONLY {{quoted}}
               WHERE ctid >= %(since)s::text::tid AND ctid < %(until)s::text::tid GROUP BY 1)
SELECT min(page) AS first, max(page) AS last, sum(rows)::int8 AS rows, min(rows) = max(rows) AS even
  FROM (SELECT page, rows, kind, page - row_number() OVER (PARTITION BY kind ORDER BY page) AS stretch,
               page / {RUN} AS part, page = max(page) OVER () AS newest
          FROM held, LATERAL (SELECT CASE WHEN %(exact)s THEN rows END AS kind) each_or_any) counted
 GROUP BY kind, stretch, part, newest ORDER BY 1
"""

SYSTEM: Final = "SELECT system_identifier::text FROM pg_control_system()"
"""Of the cluster, kept by physical backups: pages of another one are others."""
POSITION: Final = """
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn
"""
"""The position in the WAL, as a number of bytes."""


@dataclass(frozen=True, slots=True)
class PageRange:
    """Pages `first` to `last`, of which each held a row, and the rows on all of them; `even` where as many on each.

    `position` is the WAL's before they were read: a page with an older LSN has not been touched since.
    """

    first: int
    last: int
    rows: int
    even: bool
    position: int = 0

    def rows_on(self, pages: int) -> int | None:
        """Return the rows on that many of its pages, None where they are not known."""
        size = self.last - self.first + 1
        return self.rows * pages // size if self.even or pages == size else None


@dataclass(frozen=True)
class PageState:
    """One table as the catalog has it: its size in pages, its file, and what VACUUM or ANALYZE noted last."""

    name: str
    size: int
    only_grows: bool
    unlogged: bool
    quoted: str
    readable: bool
    file: int | None
    vacuumed_size: int
    vacuumed: str


@dataclass(frozen=True)
class Pages:
    """Heap pages of one table that its rows need, at least; `runs` of those that hold some.

    `only_grows` where no row of it was ever changed or removed, as far as PostgreSQL's statistics know. `since` is
    the page from which a capture read on, `after` the one from which the next will, `fresh` the first one that no
    capture before had read. Without `file`, recorded before there were `runs`.
    """

    pages: int
    only_grows: bool
    unlogged: bool
    file: int | None = None
    vacuumed: str = ""
    since: int = 0
    after: int = 0
    fresh: int = 0
    runs: tuple[PageRange, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As recorded in the ledger."""
        return asdict(self) | {"runs": [[run.first, run.last, run.rows, run.even] for run in self.runs]}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], position: int = 0) -> Pages:
        """Read what this or another version's `to_dict` gave, in a record made at `position`."""
        runs = tuple(PageRange(first, last, rows, even, position) for first, last, rows, even in raw.get("runs", ()))
        known = {field.name for field in fields(cls)} & raw.keys()
        return cls(**{**{name: raw[name] for name in known}, "runs": runs})

    def following(self, before: Pages | None) -> Pages:
        """Return the same with the runs that the record `before` it holds, as far as they were not read again."""
        kept = [run for run in before.runs if run.first < self.since] if before else []
        return replace(self, runs=tuple(sorted((*kept, *self.runs), key=lambda run: run.first)))


def read_states(source: Source) -> dict[str, PageState]:
    """Return the state of every table by `schema.table`; no page is read."""
    return {row[0]: PageState(row[0], int(row[1]), *row[2:]) for row in source(_STATES, {})}


def read_pages(source: Source, previous: Mapping[str, Any]) -> dict[str, Pages]:
    """Return what this capture records of every table's pages, by `schema.table`.

    `previous` is what the newest record holds (JSON), empty where it holds nothing of this server. Of a table that is
    refused only the length is recorded, of one that was dropped meanwhile nothing.
    """
    found: dict[str, Pages] = {}
    refused: dict[str, str] = {}
    states = read_states(source)
    for name, state in states.items():
        pages = read_apart(partial(_pages, source, state, previous.get(name)), name, refused)
        found |= {name: pages} if pages else {}
    there = read_states(source) if refused else {}
    unread = {name: replace(states[name], readable=False) for name in refused if name in there}
    return found | {name: _pages(source, state, None) for name, state in unread.items()}


def read_runs(source: Source, quoted: str, since: int, until: int) -> Iterator[PageRange]:
    """Yield the runs of pages with rows from page `since` up to, not including, `until`."""
    for begin in range(since, until, SLICE):
        end = min(until, begin + SLICE)
        values = {"since": f"({begin},0)", "until": f"({end},0)", "exact": until - since <= EXACT}
        for first, last, rows, even in source(_RUNS.format(quoted=quoted), values):
            yield PageRange(int(first), int(last), int(rows), even)


def _pages(source: Source, state: PageState, raw: Mapping[str, Any] | None) -> Pages:
    known = Pages(0, state.only_grows, state.unlogged, state.file, state.vacuumed)
    if not state.readable:
        return replace(known, pages=max(0, state.size - AHEAD))
    before = Pages.from_dict(raw) if raw else None
    goes_on = before is not None and before.file == state.file and before.pages <= state.size
    since, fresh = (before.after, before.pages) if before and goes_on else (0, 0)
    newest = list(read_runs(source, state.quoted, since, state.size))
    filled = [] if before is None or not goes_on else [
        run for gap in _gaps(before) for run in read_runs(source, state.quoted, *gap)
    ]  # fmt: skip
    after = newest[-1].first if newest else since
    pages = newest[-1].last + 1 if newest else since
    return replace(known, pages=pages, since=since, after=after, fresh=fresh, runs=(*filled, *newest))


def _gaps(before: Pages) -> list[tuple[int, int]]:
    """List stretches (page, page after it) that the record `before` was the first to read, and found empty."""
    gaps, at = [], before.fresh
    for run in before.runs:
        if run.first > at:
            gaps.append((at, run.first))
        at = max(at, run.last + 1)
    return gaps[:AGAIN]
