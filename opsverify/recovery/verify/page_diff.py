"""Physical copies compared place by place: where the pages of a table hold other rows, and which buckets those are of.

A copy made of files (a base backup with its WAL, a standby, a template) holds each row on the same page as the
original does. Then rows need no grouping: a run of pages is read by its TIDs, and count, sum and xor of its rows'
hashes are plain aggregates (grouping by bucket costs an eighth of the whole). Where all rows of a table but those in
some places are the same on both sides, whatever differs is in those places; they alone are then grouped by bucket.

Nothing is assumed of the copy: rows that were moved, or written anew by a dump's restore, make places differ, and
too many of them the comparison by bucket. Source: PostgreSQL manual, 5.6 (ctid) and 14 release notes (TID range
scans).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from opsverify.recovery.ledger.buckets import WHOLE_TABLE, Bucket, bucket_name, differing_names, hashed
from opsverify.recovery.ledger.names import as_regclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.recovery.ledger.queries import Row, Source
    from opsverify.recovery.ledger.tables import CoreTable

PAGES: Final = 32
"""Pages of a place, at least."""
PLACES: Final = 1024
"""Places of a table, at most; a larger table has wider ones."""
TOGETHER: Final = 64
"""Places that one statement reads."""
PROBED: Final = 16
"""Single pages, spread evenly, by which it is found out whether rows are laid out alike on both sides."""
ALIKE: Final = 12
"""How many of those must be the same: with more than a quarter different, grouping everything is cheaper."""
_BEYOND: Final = 2**32 - 1
"""The number after that of a table's last possible page."""
_NOWHERE: Final = -1

_SIZE: Final = "SELECT pg_relation_size(%(table)s::text::regclass) / current_setting('block_size')::int8"


def suspects(table: CoreTable, original: Sequence[Source], restored: Sequence[Source]) -> tuple[str, ...] | None:
    """Return the names of the buckets that differ; None where the two sides lay out their rows otherwise.

    Also None for a table without pages of its own (empty or partitioned). A TID range scan has no parallel workers:
    instead the sessions given for a side share its places. Both databases must be at rest meanwhile.
    """
    with ThreadPoolExecutor(max_workers=2) as threads:

        def unlike(places: Sequence[int], width: int, last: int) -> list[int]:
            return differing_names(*threads.map(partial(_read, table, places, width, last), (original, restored)))

        first = original[0], restored[0]
        sizes = tuple(threads.map(partial(_pages, table), first))
        if not min(sizes):
            return None
        probed = sorted({nth * min(sizes) // PROBED for nth in range(PROBED)})
        if len(unlike(probed, 1, _NOWHERE)) * PROBED > len(probed) * (PROBED - ALIKE):
            return None
        width = max(PAGES, -(-max(sizes) // PLACES))
        places = range(0, max(sizes), width)
        bad = unlike(places, width, places[-1])
        if not bad:
            return ()
        return tuple(differing_names(*threads.map(partial(_grouped, table, bad, width, places[-1]), first)))


def _pages(table: CoreTable, source: Source) -> int:
    ((pages,),) = source(_SIZE, {"table": as_regclass(table.quoted)})
    return int(pages)


def _read(
    table: CoreTable, places: Sequence[int], width: int, last: int, sessions: Sequence[Source]
) -> dict[int, Bucket]:
    """Count and hash the rows of `places`, each a first page and `width` long, by that page."""
    sql = f"""
        SELECT asked.page, inside.*
          FROM unnest(%(places)s::int8[]) asked (page),
               LATERAL (SELECT count(*) AS rows, coalesce(sum(hash), 0) AS total, coalesce(bit_xor(hash), 0) AS xored
                          FROM ({_inside(table)}) hashed) inside"""
    free: SimpleQueue[Source] = SimpleQueue()
    for session in sessions:
        free.put(session)

    def ask(begin: int) -> list[Row]:
        source = free.get()
        try:
            asked = {"places": list(places[begin : begin + TOGETHER]), "width": width, "last": last}
            return list(source(sql, asked))
        finally:
            free.put(source)

    with ThreadPoolExecutor(max_workers=len(sessions)) as threads:
        rows = chain.from_iterable(threads.map(ask, range(0, len(places), TOGETHER)))
        return {int(page): Bucket(int(count), int(total), int(xored)) for page, count, total, xored in rows}


def _grouped(table: CoreTable, places: Sequence[int], width: int, last: int, source: Source) -> dict[str, Bucket]:
    sql = f"""
        SELECT start, count(*) AS rows, sum(hash) AS total, bit_xor(hash) AS xored
          FROM unnest(%(places)s::int8[]) asked (page), LATERAL ({_inside(table, f"{table.start} AS start")}) hashed
         GROUP BY start"""
    rows = source(sql, {"places": list(places), "width": width, "last": last})
    return {
        bucket_name(table, start): Bucket(int(count), int(total), int(xored)) for start, count, total, xored in rows
    }


def _inside(table: CoreTable, more: str = "") -> str:
    """Return the SQL of the rows in one place of those `asked`; the `last` has no end: no row is left out."""
    end = f"CASE asked.page WHEN %(last)s THEN {_BEYOND} ELSE asked.page + %(width)s END"
    return f"""{hashed(table, more, [WHOLE_TABLE])}
           AND t.ctid >= ('(' || asked.page || ',0)')::tid
           AND t.ctid < ('(' || {end} || ',0)')::tid"""
