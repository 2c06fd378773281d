"""Summaries of BRIN indexes, held against the rows of their table: a range whose summary lacks a row is passed over.

Of the min/max kind each row must lie within the summary of its range, as pageinspect shows it; a summary may be wider
than its rows. Other kinds (inclusion, bloom, multi) are named as not examined. The range map is walked by
`brin_summarize_new_values`, which fails where it leads to another range's summary; so this belongs on a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opsverify.recovery.ledger.queries import Source

SLICE: Final = 1 << 17
"""Pages of the table that one query reads: a gigabyte."""
_AVAILABLE: Final = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pageinspect'"
_SCHEMA: Final = """
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pageinspect'
"""
_COLUMNS: Final = """
SELECT k::int AS nth, pg_get_indexdef(i.indexrelid, k, true) AS expression,
       format_type(a.atttypid, NULL) AS type,
       (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.collname) FROM pg_collation c
          JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = a.attcollation) AS collation,
       EXISTS (SELECT FROM pg_opclass o JOIN pg_amproc p ON p.amprocfamily = o.opcfamily AND p.amprocnum = 1
                 JOIN pg_proc f ON f.oid = p.amproc AND f.proname = 'brin_minmax_opcinfo'
                WHERE o.oid = i.indclass[k - 1] AND p.amproclefttype = o.opcintype) AS by_bounds
  FROM pg_index i, generate_series(1, i.indnkeyatts) k, pg_attribute a
 WHERE i.indexrelid = %(oid)s::oid AND a.attrelid = i.indexrelid AND a.attnum = k
 ORDER BY 1
"""
_SIZES: Final = """
SELECT pg_relation_size(i.indrelid) / 8192, pg_relation_size(i.indexrelid) / 8192,
       coalesce((SELECT option_value::int FROM pg_options_to_table(x.reloptions)
                  WHERE option_name = 'pages_per_range'), 128)
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indexrelid = %(oid)s::oid
"""
_BETWEEN: Final = " .. "


@dataclass(frozen=True)
class _Column:
    nth: int
    expression: str
    type: str
    collation: str | None
    by_bounds: bool


@dataclass(frozen=True)
class Brin:
    """A BRIN index of `table`; `quoted` is its name, `named` that with what it is."""

    oid: int
    quoted: str
    named: str
    table: str
    predicate: str | None


def missing_extension(source: Source) -> bool:
    """Whether this machine has no pageinspect; installed otherwise."""
    ((available,),) = source(_AVAILABLE, {})
    if available:
        source("CREATE EXTENSION IF NOT EXISTS pageinspect SCHEMA pg_catalog", {})
    return not available


def check_summaries(
    source: Source, index: Brin, until: Callable[[], bool], notes: list[str], slice_of: int = SLICE
) -> Iterator[str]:
    """Yield what is wrong with the summaries of `index`; what was not examined goes to `notes`.

    Raises the session's error where the range map leads elsewhere. `until` is asked before each slice of the table.
    """
    ((schema,),) = source(_SCHEMA, {})
    source("SELECT brin_summarize_new_values(%(oid)s::oid::regclass)", {"oid": index.oid})
    columns = [_Column(*row) for row in source(_COLUMNS, {"oid": index.oid})]
    notes += [
        say(
            "not examined: {index}: the summaries of {column} are not of the min/max kind, and not held against the "
            "rows",
            index=index.named,
            column=column.expression,
        )
        for column in columns
        if not column.by_bounds
    ]
    ((pages, own_pages, per_range),) = source(_SIZES, {"oid": index.oid})
    for begin in range(0, pages, slice_of):
        if until():
            note = say(
                "not examined: {index}: its summaries from page {begin:,} of {pages:,} of the table on: time was up",
                index=index.named,
                begin=begin,
                pages=pages,
            )
            notes.append(note)
            return
        for column in columns:
            if column.by_bounds:
                sql = _outside(index, column, schema, per_range)
                values = {"oid": index.oid, "last": own_pages - 1, "from": begin, "to": begin + slice_of}
                ((rows, page, unclear),) = source(sql, values)
                yield from _told(index, column, rows, page)
                if unclear:
                    notes.append(
                        say(
                            "not examined: {index}: the bounds of {column} in {count:,} ranges are text that holds "
                            "the separator itself",
                            index=index.named,
                            column=column.expression,
                            count=unclear,
                        )
                    )


def _told(index: Brin, column: _Column, rows: int, page: int | None) -> Iterator[str]:
    if rows:
        yield say(
            "{index}: {rows:,} rows of {table} lie outside of the summary of their range by {column}, the first on "
            "page {page:,}: queries pass them over; REINDEX INDEX {quoted}",
            index=index.named,
            rows=rows,
            table=index.table,
            column=column.expression,
            page=page,
            quoted=index.quoted,
        )


def _outside(index: Brin, column: _Column, schema: str, per_range: int) -> str:
    """Return the query: rows outside of their range's summary, the first one's page, ranges that cannot be read."""

    def quoted(text: Any) -> str:  # noqa: ANN401 - a name or an expression
        return str(text).replace("%", "%%")

    collate = f" COLLATE {quoted(column.collation)}" if column.collation else ""
    kind, value = quoted(column.type), f"({quoted(column.expression)})"
    where = f" AND CASE WHEN {quoted(index.predicate)} THEN true ELSE false END" if index.predicate else ""
    between = f"position('{_BETWEEN}' IN i.value)"
    return f"""
WITH ranges AS MATERIALIZED (
    SELECT i.blknum, i.allnulls, i.hasnulls, coalesce(to_jsonb(i) ->> 'empty', 'false') = 'true' AS empty,
           split.clear,
           CASE WHEN split.clear THEN substring(i.value FROM 2 FOR {between} - 2)::{kind} END AS low,
           CASE WHEN split.clear THEN substring(i.value FROM {between} + {len(_BETWEEN)}
                FOR length(i.value) - {between} - {len(_BETWEEN)})::{kind} END AS high
      FROM (SELECT page FROM (SELECT {schema.replace("%", "%%")}.get_raw_page(%(oid)s::oid::regclass::text, nth::int)
                                     AS page
                                FROM generate_series(1, %(last)s::int) nth OFFSET 0) every
             WHERE CASE WHEN page = decode(repeat('00', length(page)), 'hex') THEN false
                        ELSE {schema.replace("%", "%%")}.brin_page_type(page) = 'regular' END OFFSET 0) regular,
           LATERAL {schema.replace("%", "%%")}.brin_page_items(page, %(oid)s::oid::regclass) i,
           LATERAL (SELECT i.value IS NOT NULL AND
                           length(i.value) - length(replace(i.value, '{_BETWEEN}', '')) = {len(_BETWEEN)}
                           AS clear) split
     WHERE i.attnum = {column.nth} AND NOT i.placeholder AND i.blknum >= %(from)s AND i.blknum < %(to)s
), rows AS (
    SELECT (place::text::point)[0]::int8 AS page, value
      FROM (SELECT ctid AS place, {value} AS value FROM {quoted(index.table)}
             WHERE ctid >= format('(%%s,0)', %(from)s)::tid AND ctid < format('(%%s,0)', %(to)s)::tid{where}
            OFFSET 0) t
)
SELECT count(*) AS outside, min(page) AS page,
       (SELECT count(*) FROM ranges WHERE NOT clear AND NOT allnulls AND NOT empty) AS unclear
  FROM rows JOIN ranges ON blknum = page / {per_range} * {per_range}
 WHERE CASE WHEN empty THEN true
            WHEN value IS NULL THEN NOT (allnulls OR hasnulls)
            WHEN allnulls THEN true
            WHEN NOT clear THEN false
            ELSE NOT (value >= low{collate} AND value <= high{collate}) END"""
