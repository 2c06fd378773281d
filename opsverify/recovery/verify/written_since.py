"""Closed buckets that differ because of what production did after they were recorded, and what tells it from loss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from opsverify.language.message import say
from opsverify.recovery.ledger.buckets import EMPTY, read_named
from opsverify.recovery.ledger.open_rows import before_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.recovery.ledger.buckets import Bucket
    from opsverify.recovery.ledger.history import TableHistory
    from opsverify.recovery.ledger.queries import Source

    Wrong = tuple[str, Bucket, Bucket]


def added_since(
    recorded: TableHistory, restored: Source, wrong: Sequence[Wrong]
) -> tuple[list[Wrong], tuple[str, ...], str]:
    """Return what of `wrong` is left, without buckets that only got rows since they were recorded; a note; a doubt.

    Rows of a copy of the same cluster keep the transaction that wrote them. Where rows were also changed, which of
    them is not known: a doubt. Tables that the target declares have no such rows.
    """
    table, snapshot = recorded.table, recorded.open.snapshot if recorded.open else ""
    more = [name for name, before, after in wrong if after.rows > before.rows]
    if table.declared or not snapshot or not more:
        return list(wrong), (), ""
    where = " AND ".join(filter(None, [table.where, before_sql(snapshot)]))
    old = read_named(restored, replace(table, where=where), more)
    added = {name for name, before, _ in wrong if name in more and old.get(name, EMPTY) == before}
    left = [entry for entry in wrong if entry[0] not in added]
    rows = sum(after.rows - before.rows for name, before, after in wrong if name in added)
    notes = (
        (say("{name}: {rows:,} rows written into closed buckets since they were recorded", name=table.name, rows=rows),)
        if added
        else ()
    )
    changes = recorded.pace.updates.seen or recorded.pace.deletes.seen
    mixed = [name for name, before, _ in left if name in more and old.get(name, EMPTY).rows < before.rows]
    if not changes or len(mixed) < len(left) or not mixed:
        return left, notes, ""
    doubt = say("rows were added and changed since, as production does, and which of them is not known; capture again")
    return left, notes, doubt


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
