"""Rows in the partition that they belong to: PostgreSQL checks it when a row is written, and never again.

A query that prunes partitions does not find a row that lies in another one.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from opsverify.language.message import join, say
from opsverify.recovery.verify.finding import Finding, apart, while_listed
from opsverify.units import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.verify.finding import Errors

_PARTITIONS: Final = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted,
       pg_get_partition_constraintdef(c.oid) AS bound,
       has_table_privilege(c.oid, 'SELECT') AS readable
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relispartition AND c.relkind = 'r'
   AND pg_get_partition_constraintdef(c.oid) IS NOT NULL
 ORDER BY 1
"""


def check_partitions(source: Source, errors: Errors = ()) -> Finding:
    """Find rows outside the bounds of their partition; each is asked by itself, and may end with one of `errors`."""
    rows = list(source(_PARTITIONS, {}))
    closed = [quoted for quoted, _, readable in rows if readable is False]
    readable = [row for row in rows if row[-1]]
    ask = while_listed(lambda row: _strangers(source, *row[:2]), partial(source, _PARTITIONS, {}), itemgetter(0))
    problems, unknown = apart(readable, ask, errors, lambda row: row[0])
    if closed:
        unknown.append(say("no right to read {listed}: GRANT SELECT on them", listed=listed(say("partitions"), closed)))
    of = say("of {count} partitions hold rows of another one", count=len(rows))
    return Finding(len(rows), of, tuple(problems), None if problems else join("; ", unknown) or None)


def _strangers(source: Source, quoted: str, bound: str) -> Iterator[str]:
    # OFFSET 0: constraint exclusion would conclude from the bound that there is no such row.
    sql = f"SELECT count(*) FROM (SELECT * FROM ONLY {quoted} OFFSET 0) t WHERE ({bound}) IS NOT TRUE"
    ((strangers,),) = source(sql, {})
    if strangers:
        yield say(
            "{quoted}: {strangers:,} rows do not belong to this partition ({bound})",
            quoted=quoted,
            strangers=strangers,
            bound=bound,
        )
