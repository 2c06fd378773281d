"""The heaps of a restored server, read from its files: lost tails and pages of zeros.

pg_checksums, pg_amcheck with all options and pg_dump each pass a heap page that was zeroed and a table that lost
its tail: to them an all-zero page is a new one, and a table ends where its file ends. Three others record what
was there: the ledger which pages held rows, the visibility map which were in use, and the indexes every row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from opsverify.language.message import as_message, say
from opsverify.recovery.ledger.heap_pages import read_states
from opsverify.recovery.ledger.names import plain
from opsverify.recovery.ledger.refusal import sqlstate
from opsverify.recovery.verify.finding import DAMAGED, Finding, finding_of
from opsverify.recovery.verify.heap_storage import Heap
from opsverify.recovery.verify.loss import page_list
from opsverify.recovery.verify.lost_pages import PageVerdict, comparable, runs_of, shorter

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.ledger.heap_pages import Pages, PageState
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.queries import Source

    _Errors = type[Exception] | tuple[type[Exception], ...]

_OTHER_PLANS: Final = ("enable_seqscan", "enable_bitmapscan", "enable_indexonlyscan", "enable_sort")
_OURS: Final = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')"

# The smallest whole index of each table, by which its rows can be counted a second time.
_HEAPS: Final = f"""
SELECT {plain("n.nspname", "c.relname")} AS name, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted,
       pg_relation_filepath(c.oid) AS path,
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

_SCHEMA: Final = """
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pageinspect'
"""
# Leaf pages (flag 1) that are not deleted (4), without their high keys; entries of a posting list one by one. Those
# marked dead count: an index scan marks an entry so when it finds nothing where that leads.
ENTRIES: Final = """
SELECT count(*) FROM generate_series(1, pg_relation_size(%(index)s::text::regclass) / 8192 - 1) page,
       LATERAL (SELECT btpo_flags, btpo_next FROM @schema@.bt_page_stats(%(index)s::text, page)) stats,
       LATERAL (SELECT htid, tids, itemoffset FROM @schema@.bt_page_items(%(index)s::text, page)) item,
       LATERAL unnest(coalesce(item.tids, ARRAY[item.htid])) heap
 WHERE (stats.btpo_flags & 1) = 1 AND (stats.btpo_flags & 4) = 0 AND item.htid IS NOT NULL
   AND (item.itemoffset > 1 OR stats.btpo_next = 0)
   AND (heap::text::point)[0]::int8 = ANY (%(blocks)s)
"""


def by_pageinspect(source: Source, sql: str) -> str:
    """Return a query with parameters that calls pageinspect in whatever schema the database has it."""
    ((schema,),) = source(_SCHEMA, {})
    return sql.replace("@schema@", str(schema).replace("%", "%%"))


@dataclass(frozen=True)
class _Table:
    """One heap: its file, what was recorded of its pages (None: nothing that can be compared), and what is now.

    `index` is one by which its rows can be counted a second time, `first` that one's first column.
    """

    quoted: str
    heap: Heap
    index: str | None
    first: str
    now: PageState
    before: Pages | None


def check_heaps(
    source: Source,
    data_dir: Path,
    errors: _Errors,
    history: History | None = None,
    of_indexes: list[str] | None = None,
) -> Finding:
    """Find pages of zeros and lost tails of tables: by the record, the visibility map, and the indexes.

    `source` is a superuser's session outside of a transaction, `errors` what it raises. A page of zeros before
    others is unknown in a table without an index where neither record nor visibility map has it. An index that
    disagrees with its table, or is damaged, is no damage of the table: it is added to `of_indexes`.
    """
    blamed = [] if of_indexes is None else of_indexes
    source("CREATE EXTENSION IF NOT EXISTS pageinspect SCHEMA pg_catalog", {})
    source("CHECKPOINT", {})
    recorded = history.pages if history else {}
    known = comparable(history, source) if history else {}
    states = read_states(source)
    verdict = PageVerdict()
    rows = list(source(_HEAPS, {}))
    for name, quoted, path, index, first in rows:
        table = _Table(quoted, Heap(data_dir / path), index, first, states[name], known.get(name))
        verdict.add(finding_of(partial(_heap, source, errors, table, recorded.get(name), blamed), errors=errors))
    return verdict.finding(len(rows), say("of {count} tables lost pages", count=len(rows)))


def _heap(source: Source, errors: _Errors, table: _Table, recorded: Pages | None, of_indexes: list[str]) -> Finding:
    verdict = PageVerdict()
    zeroed = list(table.heap.zero_pages())
    _zeroed(source, table, _led_into(source, table, zeroed, verdict), verdict)
    if table.index is not None:
        ask = partial(_by_index, source, table, of_indexes, errors)
        verdict.add(finding_of(ask, errors=errors))
    _tail(source, table, recorded, verdict)
    return verdict.finding(1, "tables")


def _led_into(source: Source, table: _Table, zeroed: list[int], verdict: PageVerdict) -> list[int]:
    """Judge the pages by the index entries that lead into them; return those still to be judged."""
    if table.index is None or not zeroed:
        return zeroed
    ((entries,),) = source(by_pageinspect(source, ENTRIES), {"index": table.index, "blocks": zeroed})
    if not entries:
        return zeroed
    message = say(
        "{quoted}: {entries:,} entries of {index} point into zeroed {page_list}: these rows are lost",
        quoted=table.quoted,
        entries=entries,
        index=table.index,
        page_list=page_list(zeroed),
    )
    verdict.lose(source, table.before, table.now, zeroed, message)
    return []


def _zeroed(source: Source, table: _Table, zeroed: list[int], verdict: PageVerdict) -> None:
    """Judge all-zero pages into which no index entry points."""
    held = _recorded(table, zeroed)
    visible = table.heap.known_visible(zeroed)
    if lost := sorted({*visible, *(page for page, position in held.items() if _stayed(table, page, position))}):
        why = say("held rows when recorded") if held.keys() & {*lost} else say("was in use by the visibility map")
        message = say("{quoted}: {page_list} all zero: {why}", quoted=table.quoted, page_list=page_list(lost), why=why)
        verdict.lose(source, table.before, table.now, lost, message)
    if table.index is not None:
        return
    if doubtful := sorted(held.keys() - {*lost}):
        verdict.doubts.append(
            say(
                "{quoted}: {page_list} held rows when recorded, all zero now: lost, or given back by "
                "VACUUM and never used again",
                quoted=table.quoted,
                page_list=page_list(doubtful),
            )
        )
    covered = table.before.pages if table.before else 0
    if unrecorded := [page for page in zeroed if covered <= page < table.heap.used(zeroed) and page not in {*lost}]:
        message = say("zeroed pages in a table without an index, not recorded whether they held rows")
        verdict.doubts.append(f"{table.quoted} ({page_list(unrecorded)}): {message}")


def _recorded(table: _Table, zeroed: list[int]) -> dict[int, int]:
    """Return those of the pages that held rows when recorded, with the WAL's position then."""
    runs = runs_of(table.before, zeroed) if table.before else []
    return {page: run.position for page in zeroed for run in runs if run.first <= page <= run.last}


def _stayed(table: _Table, page: int, position: int) -> bool:
    """Whether the table was never cut off before `page` since it was recorded: then its zeros are a loss."""
    before = table.before
    if before is not None and before.only_grows and before.vacuumed == table.now.vacuumed:
        return True
    return page < table.heap.last_untouched(position)


def _tail(source: Source, table: _Table, recorded: Pages | None, verdict: PageVerdict) -> None:
    """Judge a table that ends before its last recorded page, or before the last one its visibility map has."""
    size = table.heap.size
    if (by_map := table.heap.size_by_map) > size:
        message = say(
            "{name} lost its tail: {size:,} pages, the visibility map has {by_map:,}",
            name=table.now.name,
            size=size,
            by_map=by_map,
        )
        verdict.lose(source, table.before, table.now, range(size, by_map), message)
    elif recorded and not table.now.unlogged and size < recorded.pages:
        shorter(source, recorded, table.now, same_file=table.before is not None, verdict=verdict)


def _by_index(source: Source, table: _Table, of_indexes: list[str], errors: _Errors) -> Finding:
    """Count the table's rows in table order and by an index; a lost tail ends the second with an error.

    An error that names no file of the table is about the index, as is a number that differs: rows that an index finds
    are read from the table.
    """
    quoted, index = table.quoted, table.index
    ((in_table,),) = source(f"SELECT count(ctid) FROM (SELECT ctid FROM {quoted} OFFSET 0) t", {})
    counting = f"SELECT count(ctid) FROM (SELECT ctid FROM {quoted} ORDER BY {table.first} OFFSET 0) t"
    for name in _OTHER_PLANS:
        source(f"SET {name} = off", {})
    try:
        plan = source(f"EXPLAIN {counting}", {})
        if not any("Index Scan" in line for (line,) in plan):
            return Finding(1, say("tables"))
        ((by_index,),) = source(counting, {})
    except errors as error:
        if not sqlstate(error).startswith(DAMAGED):
            raise
        message = as_message(str(error)).each(lambda text: " ".join(text.split()))
        if not re.search(rf"/{table.heap.first.name}(?:\.\d+)?\"", str(message)):
            of_indexes.append(
                say(
                    "{quoted}: its index {index} is damaged ({message}): REINDEX INDEX {index}",
                    quoted=quoted,
                    index=index,
                    message=message,
                )
            )
            return Finding(1, say("tables"))
        problem = say(
            "{quoted}: {index} points past the end of the table, which lost its tail ({message})",
            quoted=quoted,
            index=index,
            message=message,
        )
        return Finding(1, say("tables"), (problem,))
    finally:
        for name in _OTHER_PLANS:
            source(f"RESET {name}", {})
    if by_index != in_table:
        of_indexes.append(
            say(
                "{quoted}: {in_table:,} rows in the table, {by_index:,} by its index {index}: REINDEX INDEX {index}",
                quoted=quoted,
                in_table=in_table,
                by_index=by_index,
                index=index,
            )
        )
    return Finding(1, say("tables"))
