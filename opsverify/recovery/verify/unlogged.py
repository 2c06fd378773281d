"""Unlogged tables after a recovery, which empties them: those that held rows when they were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opsverify.language.message import say
from opsverify.recovery.ledger.names import plain
from opsverify.recovery.verify.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.recovery.ledger.heap_pages import Pages
    from opsverify.recovery.ledger.queries import Source

_UNLOGGED: Final = f"""
SELECT {plain("n.nspname", "c.relname")} AS name, pg_relation_size(c.oid) / current_setting('block_size')::int8 AS pages
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'm')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')
"""


def check_unlogged(source: Source, recorded: Mapping[str, Pages] | None) -> Finding:
    """Find unlogged tables that held rows when they were recorded: recovery empties them, as WAL does not hold them.

    Without a record every unlogged table is one that may have held rows.
    """
    rows: Sequence[Any] = list(source(_UNLOGGED, {}))
    problems, notes = [], []
    for name, pages in rows:
        before = (recorded or {}).get(name)
        if before is not None and before.unlogged:
            notes.append(
                say(
                    "{name} is unlogged, as in production: recovery empties it ({pages:,} pages recorded)",
                    name=name,
                    pages=before.pages,
                )
            )
        elif before is None:
            problems.append(say("{name} is unlogged: recovery empties it, and its size was not recorded", name=name))
        elif before.pages:
            problems.append(
                say(
                    "{name} is unlogged: it held {pages:,} pages when recorded, {number:,} now",
                    name=name,
                    pages=before.pages,
                    number=int(pages),
                )
            )
    return Finding(
        len(rows),
        say("of {count} unlogged tables lost, or will lose, what they held", count=len(rows)),
        tuple(problems),
        notes=tuple(notes),
    )
