"""Visibility maps held against their tables by pg_visibility: PostgreSQL believes a bit, and never checks it again.

A page that is marked and holds a row that not everybody sees makes index-only scans answer wrongly; one that is
marked frozen and is not is passed over by VACUUM until its transaction's number means another transaction.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from opsverify.language.message import join, say
from opsverify.recovery.verify.finding import Finding, finding_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.recovery.ledger.queries import Source

    _Errors = type[Exception] | tuple[type[Exception], ...]

_TABLES: Final = """
SELECT c.oid::int8 AS oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = c.relam
 WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p' AND m.amname = 'heap'
 ORDER BY 2
"""
_SCHEMA: Final = """
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_visibility'
"""
_RULES: Final = (("visible", "all-visible"), ("frozen", "all-frozen"))


def check_visibility(source: Source, errors: _Errors, until: Callable[[], bool] = lambda: False) -> Finding:
    """Find rows that contradict the visibility map, of tables, TOAST tables, materialised views and catalogs.

    `until` is asked before each whether time is up: the rest is named as not reached. Raises the session's error where
    this machine has no pg_visibility.
    """
    source("CREATE EXTENSION IF NOT EXISTS pg_visibility SCHEMA pg_catalog", {})
    ((schema,),) = source(_SCHEMA, {})
    tables = list(source(_TABLES, {}))
    found, notes = [], []
    for oid, name in tables:
        if until():
            notes.append(say("not examined: visibility map of {name}: time was up", name=name))
            continue
        found.append(finding_of(partial(_table, source, schema, oid, name), errors=errors))
    problems = tuple(problem for one in found for problem in one.problems)
    unknown = join("; ", (one.unknown for one in found if one.unknown)) or None
    of = say("of {count} tables contradict their visibility map", count=len(tables))
    return Finding(len(tables), of, problems, None if problems else unknown, tuple(notes))


def _table(source: Source, schema: str, oid: int, name: str) -> Finding:
    problems = []
    for function, mark in _RULES:
        sql = f"SELECT t_ctid::text FROM {schema.replace('%', '%%')}.pg_check_{function}(%(oid)s::oid::regclass)"
        if rows := list(source(sql, {"oid": oid})):
            problems.append(
                say(
                    "{name}: {rows:,} rows on pages that the visibility map has as {mark} are not, the first at "
                    "{first}; SELECT {schema}.pg_truncate_visibility_map('{name}'), then VACUUM it",
                    name=name,
                    rows=len(rows),
                    mark=mark,
                    first=rows[0][0],
                    schema=schema,
                )
            )
    return Finding(1, say("tables"), tuple(problems))
