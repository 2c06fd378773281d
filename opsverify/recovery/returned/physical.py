"""The restored server's own storage: amcheck, checksums, lost tails and zeroed pages of heaps.

pg_checksums, pg_amcheck with all options and pg_dump each pass a heap page that was zeroed and a table that lost
its tail: to them an all-zero page is a new one, and a table ends where its file ends. The indexes remember what
was there: an entry that points behind the end, or into a zeroed page, is a row that is gone. Of a table without
one, the ledger's baseline remembers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from opsverify.recovery.returned.finding import DAMAGED, Finding, found, sqlstate
from opsverify.recovery.returned.pages import numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from opsverify.recovery.facts import Source
    from opsverify.recovery.returned.pages import Held, Pages
    from opsverify.recovery.server import Server

    _Errors = type[Exception] | tuple[type[Exception], ...]

PAGE: Final = 8192
_CHUNK: Final = 128 * PAGE
_ZEROS: Final = bytes(_CHUNK)
_HOURS_S: Final = 4 * 3600.0
_OTHER_WAYS: Final = ("enable_seqscan", "enable_bitmapscan", "enable_indexonlyscan", "enable_sort")
_OURS: Final = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')"

# The smallest whole index of each table, by which its rows can be counted a second time.
_HEAPS: Final = f"""
SELECT n.nspname || '.' || c.relname AS name,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted,
       pg_relation_filepath(c.oid) AS path,
       c.relfilenode::int8 AS file,
       b.index, b.first
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL
       (SELECT i.indexrelid::regclass::text AS index, pg_get_indexdef(i.indexrelid, 1, true) AS first
          FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
          JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
         WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indoption[0] IN (0, 3)
         ORDER BY x.relpages, x.oid LIMIT 1) b ON true
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND {_OURS}
 ORDER BY 1
"""

# Leaf pages (flag 1) that are not deleted (4), without their high keys; entries of a posting list one by one. Those
# marked dead count: an index scan marks an entry so when it finds nothing where that leads.
_ENTRIES: Final = """
SELECT count(*) FROM generate_series(1, pg_relation_size(%(index)s::text::regclass) / 8192 - 1) page,
       LATERAL (SELECT btpo_flags, btpo_next FROM bt_page_stats(%(index)s::text, page)) stats,
       LATERAL (SELECT htid, tids, itemoffset FROM bt_page_items(%(index)s::text, page)) item,
       LATERAL unnest(coalesce(item.tids, ARRAY[item.htid])) heap
 WHERE (stats.btpo_flags & 1) = 1 AND (stats.btpo_flags & 4) = 0 AND item.htid IS NOT NULL
   AND (item.itemoffset > 1 OR stats.btpo_next = 0)
   AND (heap::text::point)[0]::int8 = ANY (%(blocks)s)
"""


def amcheck(server: Server, dbname: str) -> Finding:
    """Check every heap and B-tree index, each against the other (`pg_amcheck`, manual page of PostgreSQL 18)."""
    where = ("-h", server.socket_dir, "-p", str(server.port), "-U", server.superuser, "-d", dbname)
    done = server.tools.run(
        "pg_amcheck",
        *where,
        "--no-password",
        "--install-missing",
        "--no-strict-names",
        "--heapallindexed",
        "--parent-check",
        "--rootdescend",
        timeout_s=_HOURS_S,
    )
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
    lines = [line for line in said if line and not line.startswith("NOTICE:")]  # that amcheck is installed already
    if done.exit_code == 0 and not lines:
        return Finding(1, "problems found by pg_amcheck", (), notes=(done.transcript,))
    if done.exit_code == 2:  # noqa: PLR2004 - the manual page's status for corruption
        told = [line for line in lines if ":" in line]
        problems = tuple(_paired(told)) or tuple(lines)
        return Finding(1, "problems found by pg_amcheck", problems, notes=(done.transcript,))
    return Finding(0, "problems", unknown=f"pg_amcheck could not be carried out: {done.last_line}")


def _paired(lines: list[str]) -> Iterator[str]:
    """Join each relation's line ('heap table "a.b.c", block 1:') with the reason on the next."""
    head = ""
    for line in lines:
        if line.endswith(":"):
            head = line
        elif not line.startswith(("query was", "CONTEXT", "DETAIL", "HINT")):
            yield f"{head} {line}".strip()
            head = ""


def checksums(server: Server, data_dir: Path) -> Finding:
    """Verify the checksum of every page on disk; call it last: the server is stopped for it, in good order.

    A cluster without checksums is unknown, not well.
    """
    server.stop()
    done = server.tools.run("pg_checksums", "--check", "-D", data_dir, timeout_s=_HOURS_S, account=server.account)
    bad = tuple(line.partition("error: ")[2] for line in done.stderr.splitlines() if "verification failed" in line)
    if bad:
        return Finding(1, "pages fail their checksum", bad, notes=(done.transcript,))
    if done.exit_code != 0 or "Bad checksums:  0" not in done.stdout:
        hint = "; switch them on: pg_checksums --enable" if "not enabled" in done.stderr else ""
        return Finding(0, "pages", unknown=f"pg_checksums could not verify: {done.last_line}{hint}")
    return Finding(1, "pages fail their checksum", (), notes=(done.transcript,))


def heaps(source: Source, data_dir: Path, errors: _Errors, recorded: Mapping[str, Pages]) -> Finding:
    """Find rows that an index or the ledger still knows and the table has lost: behind its end, or in zeroed pages.

    `source` is a superuser's session outside of a transaction, `errors` what it raises; `recorded` is the ledger's
    baseline by `schema.table`. A zeroed page before others, which neither an index nor the baseline can speak of,
    is unknown: nothing tells whether it ever held rows.
    """
    source("CREATE EXTENSION IF NOT EXISTS pageinspect", {})
    source("CHECKPOINT", {})
    rows = list(source(_HEAPS, {}))
    tables = (
        _Heap(source, data_dir / path, quoted, _baseline(recorded, name, int(file)), index, first)
        for name, quoted, path, file, index, first in rows
    )
    parts = [found(partial(table.look, errors), errors=errors) for table in tables]
    problems = tuple(problem for part in parts for problem in part.problems)
    doubts = [part.unknown for part in parts if part.unknown]
    unknown = "; ".join(doubts) if doubts and not problems else None
    return Finding(len(rows), f"of {len(rows)} tables lost pages", problems, unknown)


def _baseline(recorded: Mapping[str, Pages], name: str, file: int) -> Held | None:
    """What the ledger knows of the pages of this very file; a table rewritten since has another one."""
    held = recorded[name].held if name in recorded else None
    return held if held and held.file == file else None


@dataclass(frozen=True)
class _Heap:
    """One table on disk, with the index (and its first column) and the baseline that remember what it held."""

    source: Source
    path: Path
    quoted: str
    held: Held | None
    index: str | None
    first: str

    def look(self, errors: _Errors) -> Finding:
        """Find rows that are gone; `errors` is what the source raises."""
        zeroed = list(zero_pages(self.path))
        if self.index is None:
            return self._by_baseline(zeroed)
        problems = []
        if zeroed:
            ((entries,),) = self.source(_ENTRIES, {"index": self.index, "blocks": zeroed})
            if entries:
                problems.append(
                    f"{self.quoted}: {entries:,} entries of {self.index} point into zeroed pages "
                    f"({numbers(zeroed)}): these rows are lost"
                )
        return Finding(1, "tables", (*problems, *_by_index(self.source, self.quoted, self.index, self.first, errors)))

    def _by_baseline(self, zeroed: list[int]) -> Finding:
        # Zeroed pages at the end may be new ones, where VACUUM had cut the table and it grew again.
        inner = [page for page in zeroed if page < _last_used(self.path, zeroed)]
        lost = [page for page in inner if self.held and page in self.held]
        if lost:
            said = f"{self.quoted}: pages {numbers(lost)} held rows when they were recorded, and are all zero now"
            return Finding(1, "tables", (said,))
        reached = self.held.reached if self.held else 0
        unheard = [page for page in inner if page >= reached]
        if unheard:
            said = "zeroed pages in a table without an index, of no capture: nothing tells whether they held rows"
            return Finding(1, "tables", unknown=f"{self.quoted} ({numbers(unheard)}): {said}")
        return Finding(1, "tables")


def _by_index(source: Source, quoted: str, index: str, first: str, errors: _Errors) -> list[str]:
    """Count the table's rows in table order and by an index; a lost tail ends the second with an error."""
    ((in_table,),) = source(f"SELECT count(ctid) FROM (SELECT ctid FROM {quoted} OFFSET 0) t", {})
    counting = f"SELECT count(ctid) FROM (SELECT ctid FROM {quoted} ORDER BY {first} OFFSET 0) t"
    for name in _OTHER_WAYS:
        source(f"SET {name} = off", {})
    try:
        plan = source(f"EXPLAIN {counting}", {})
        if not any("Index Scan" in line for (line,) in plan):
            return []
        ((by_index,),) = source(counting, {})
    except errors as error:
        if not sqlstate(error).startswith(DAMAGED):
            raise
        said = " ".join(str(error).split())
        return [f"{quoted}: {index} points behind the end of the table, which lost its tail ({said})"]
    finally:
        for name in _OTHER_WAYS:
            source(f"RESET {name}", {})
    if by_index != in_table:
        return [f"{quoted}: {in_table:,} rows in the table, {by_index:,} by {index}"]
    return []


def zero_pages(first: Path) -> Iterator[int]:
    """Yield the numbers of all-zero pages of a relation whose first file is `first`; its further ones follow."""
    number = 0
    for part in _files(first):
        with part.open("rb") as file:
            while chunk := file.read(_CHUNK):
                if chunk.startswith(_ZEROS[:64]) or bytes(64) in chunk:
                    for at in range(0, len(chunk), PAGE):
                        page = chunk[at : at + PAGE]
                        if page == _ZEROS[: len(page)]:
                            yield number + at // PAGE
                number += -(-len(chunk) // PAGE)


def _files(first: Path) -> Iterator[Path]:
    nth = 0
    part = first
    while part.exists():
        yield part
        nth += 1
        part = first.with_name(f"{first.name}.{nth}")


def _last_used(first: Path, zeroed: list[int]) -> int:
    """Return the number of the last page that is not all zero, -1 if there is none."""
    pages = sum(-(-part.stat().st_size // PAGE) for part in _files(first))
    empty = set(zeroed)
    return next((number for number in range(pages - 1, -1, -1) if number not in empty), -1)
