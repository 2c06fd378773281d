"""Closed buckets that differ because of what production did after they were recorded, and what tells it from loss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from opsverify.language.message import join, say
from opsverify.recovery.ledger.buckets import EMPTY, read_named
from opsverify.recovery.ledger.names import as_regclass, plain
from opsverify.recovery.ledger.open_rows import before_sql

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from opsverify.recovery.ledger.buckets import Bucket
    from opsverify.recovery.ledger.history import History, TableHistory
    from opsverify.recovery.ledger.queries import Source

    Wrong = tuple[str, Bucket, Bucket]

_FILE: Final = f"""
SELECT {plain("n.nspname", "c.relname")}, pg_relation_filenode(c.oid)::int8
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %(table)s::text::regclass
"""


def made_since(recorded: TableHistory, restored: Source) -> bool:
    """Whether the table was made after it was recorded, as by pg_restore: then every row has a new transaction."""
    if recorded.open is None or not recorded.open.snapshot:
        return False
    # Columns of the system are not altered: their rows in the catalog are as old as the table.
    sql = (
        "SELECT EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = %(table)s::text::regclass AND t.attnum < 0 "
        f"AND {before_sql(recorded.open.snapshot)})"
    )
    ((older,),) = restored(sql, {"table": as_regclass(recorded.table.quoted.removeprefix("ONLY "))})
    return not older


def loaded_anew(history: History, recorded: TableHistory, restored: Source) -> bool:
    """Whether the table was emptied and loaded since, as by TRUNCATE and COPY, or rewritten by ALTER TABLE.

    It lies in another file than the recorded one, and no row of it is older than the record. Rows that were lost in
    the file that was recorded are none of these.
    """
    if recorded.open is None or not recorded.open.snapshot:
        return False
    ((name, file),) = restored(_FILE, {"table": as_regclass(recorded.table.quoted.removeprefix("ONLY "))})
    before = history.pages.get(name)
    if before is None or before.file is None or file is None or before.file == file:
        return False
    return not _has_older(recorded, restored, recorded.open.snapshot)


def added_since(
    recorded: TableHistory, restored: Source, wrong: Sequence[Wrong], elapsed: dt.timedelta
) -> tuple[list[Wrong], tuple[str, ...], str]:
    """Return what of `wrong` is left, without buckets that only got rows since they were recorded; a note; a doubt.

    Rows of a copy of the same cluster keep the transaction that wrote them, unless the table was emptied and loaded
    anew: then it says nothing. More rows than production was ever seen to write into closed buckets in `elapsed` are a
    doubt. Where rows were also changed, which of them is not known: a doubt. Tables that the target declares have no
    such rows.
    """
    table, snapshot = recorded.table, recorded.open.snapshot if recorded.open else ""
    more = [name for name, before, after in wrong if after.rows > before.rows]
    if table.declared or not snapshot or not more or not _has_older(recorded, restored, snapshot):
        return list(wrong), (), ""
    where = " AND ".join(filter(None, [table.where, before_sql(snapshot)]))
    old = read_named(restored, replace(table, where=where), more)
    added = {name for name, before, _ in wrong if name in more and old.get(name, EMPTY) == before}
    left = [entry for entry in wrong if entry[0] not in added]
    rows = sum(after.rows - before.rows for name, before, after in wrong if name in added)
    limit = recorded.pace.late_bound(elapsed, recorded.rows)
    notes = (
        (say("{name}: {rows:,} rows written into closed buckets since they were recorded", name=table.name, rows=rows),)
        if 0 < rows <= limit
        else ()
    )
    changes = recorded.pace.updates.seen or recorded.pace.deletes.seen
    mixed = [name for name, before, _ in left if name in more and old.get(name, EMPTY).rows < before.rows]
    rest = left if rows <= limit else list(wrong)
    if left and (not changes or len(mixed) < len(left)):
        return rest, notes, ""
    doubts = [] if rows <= limit else [_beyond(table.name, rows, limit)]
    if left:
        doubts.append(
            say("rows were added and changed since, as production does, and which of them is not known; capture again")
        )
    return rest, notes, join("; ", doubts)


def _has_older(recorded: TableHistory, restored: Source, snapshot: str) -> bool:
    """Whether any row is older than the record; the cheapest one to find answers."""
    ((older,),) = restored(f"SELECT EXISTS (SELECT FROM {recorded.table.relation} t WHERE {before_sql(snapshot)})", {})
    return bool(older)


def _beyond(name: str, rows: int, limit: int) -> str:
    return say(
        "{name}: {rows:,} rows written into closed buckets since they were recorded; by what production was seen to "
        "do, no more than {limit:,} in that time: written twice, or a change unlike any before; capture again, or "
        "compare with the original ([recovery.source])",
        name=name,
        rows=rows,
        limit=limit,
    )


def may_be_deleted(recorded: TableHistory, wrong: Sequence[Wrong]) -> str:
    """Why rows that are missing may have been deleted in production; empty where nothing suggests it."""
    fewer = bool(wrong) and all(after.rows < before.rows for _, before, after in wrong)
    if recorded.table.declared or not recorded.pace.deletes.seen or not fewer:
        return ""
    return say(
        "production deletes rows of {name} ({deletes:,} so far): lost, or deleted since; capture "
        "again, or declare its retention in [recovery.tables]",
        name=recorded.table.name,
        deletes=recorded.activity.deletes if recorded.activity else 0,
    )
