"""Integer keys of a table: how far they have been given out, whatever a single row with a far larger key says."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from opsverify.recovery.ledger.names import as_regclass

if TYPE_CHECKING:
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable

_LARGEST: Final = 32
"""Keys among which those far above all others are looked for."""
_SEQUENCE: Final = """
SELECT max(CASE WHEN has_sequence_privilege(s.oid, 'SELECT') THEN pg_sequence_last_value(s.oid) END)
  FROM pg_attribute a
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                  AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_sequence q ON q.seqrelid = s.oid AND q.seqincrement > 0 AND NOT q.seqcycle
 WHERE a.attrelid = %(table)s::text::regclass AND quote_ident(a.attname) = %(column)s
"""
"""The last value that the sequence of an integer column gave out."""


def given_out(source: Source, table: CoreTable, last: int) -> int:
    """Return the number of the bucket that rows have reached: `last`, but for a few with much larger keys.

    Such a row (a sentinel) would close buckets into which rows still come. The column's sequence tells, and the
    widest gap among the largest keys, where a whole bucket fits into it.
    """
    largest = [
        int(row[0]) // table.width
        for row in source(f"SELECT t.{table.bucket} FROM {table.relation} t WHERE t.{table.bucket} IS NOT NULL "
                          f"ORDER BY t.{table.bucket} DESC LIMIT {_LARGEST}", {})
    ]  # fmt: skip
    gaps = [(upper - lower, lower) for upper, lower in pairwise(largest)]
    widest, before = max(gaps, default=(0, last))
    last = before if widest > 1 else last
    ((value,),) = source(_SEQUENCE, {"table": as_regclass(table.quoted), "column": as_regclass(table.bucket)})
    return last if value is None else min(last, int(value) // table.width)
