"""Open rows and distributions of a table compared with the ledger: what holds although production goes on.

Production may add, update and delete rows after the capture. How much it does to a table is known: from its
statistics, and on a restored copy of the same cluster from each row, which names the transaction that wrote it. A
difference that these explain is no finding; the verdict says that the table changed. One that is larger than what
production was ever seen to do in such a time holds: it may be a loss, or a change unlike any before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.recovery.ledger.buckets import Span, differences, edge, text
from opsverify.recovery.ledger.open_rows import read_open
from opsverify.recovery.ledger.probe import moved, read_spread
from opsverify.recovery.verify.finding import Finding
from opsverify.recovery.verify.loss import Loss

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from opsverify.recovery.ledger.history import TableHistory
    from opsverify.recovery.ledger.open_rows import OpenRows
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.verify.finding import Cover

MOVED: Final = 0.5
"""Share of closed rows that may change a value from capture to recovery target, unless more did between captures."""
_AGAIN: Final = 2.0
"""How many times as large as the largest move between captures the move to the recovery target may be."""
_DIFFERENT: Final = 10
"""Rows that differ, below which all of them may be there twice by chance."""
_FEWEST: Final = 20
"""Rows below which a distribution proves nothing."""


def check_open(recorded: TableHistory, restored: Source, at: dt.datetime, *, same_cluster: bool) -> Finding:
    """Compare the rows that no closed bucket holds; `same_cluster` where rows keep the transaction that wrote them.

    `at` is until when production may have worked on it: that is bounded by what it was seen to do.
    """
    was = recorded.open
    if was is None:
        return Finding(0, "")
    table, span = recorded.table, recorded.first
    now = read_open(restored, table, span)
    kind = say("open rows") if span else say("rows")
    of = say("{rows:,} {kind} compared", rows=was.rows, kind=kind)
    if now.buckets == was.buckets:
        return Finding(was.rows, of, buckets=len(was.buckets))
    if doubled := _doubled(recorded, was, now):
        # On the same cluster production may have written them: as for closed buckets, that holds.
        certain = now.rows == 2 * was.rows and not same_cluster
        problems, unknown = ((doubled,), None) if certain else ((), doubled)
        return Finding(was.rows, of, problems, unknown, buckets=len(was.buckets))
    if same_cluster and was.snapshot:
        old = read_open(restored, table, span, was.snapshot)
        return _judged(recorded, was, old, now.rows - old.rows, of, recorded.elapsed(at))
    return _of_a_copy(recorded, was, now, of, recorded.elapsed(at))


def _doubled(recorded: TableHistory, was: OpenRows, now: OpenRows) -> str:
    """Say that rows were loaded twice where no key forbids it; empty where nothing shows it.

    Of many different rows not one is there an odd number of times: that does not come about by adding some.
    """
    if was.keys or was.even or not now.even or was.different < _DIFFERENT:
        return ""
    return say(
        "{name}: each row is there twice, {found:,} found, {rows:,} recorded: loaded twice, which no key forbids",
        name=recorded.table.name,
        found=now.rows,
        rows=was.rows,
    )


def _judged(
    recorded: TableHistory, was: OpenRows, old: OpenRows, written: int, of: str, elapsed: dt.timedelta
) -> Finding:
    """Judge `old`, the rows that were written before the snapshot; `written` were since."""
    name, pace = recorded.table.name, recorded.pace
    note = say("{name}: {written:,} rows written since they were recorded", name=name, written=written)
    wrong = list(differences(was.buckets, old.buckets))
    if not wrong:
        return Finding(was.rows, of, notes=(note,), buckets=len(was.buckets))
    gone = sum(max(0, before.rows - after.rows) for _, before, after in wrong)
    altered = [entry for entry in wrong if entry[2].rows >= entry[1].rows]
    updates, deletes = pace.updates.seen, pace.deletes.seen
    explained = deletes or (updates and gone <= written)
    if altered or not explained:
        problems = tuple(
            say(
                "{name}{bucket}: {text}, not written since it was recorded",
                name=name,
                bucket=_bucket(bucket),
                text=text(before, after),
            )
            if after.rows >= before.rows
            else say(
                "{name}{bucket}: {text}, {written:,} written since; production {updates} and {deletes} "
                "rows of it (after an intended change capture anew)",
                name=name,
                bucket=_bucket(bucket),
                text=text(before, after),
                written=written,
                updates=say("updates") if updates else say("never updates"),
                deletes=say("deletes") if deletes else say("never deletes"),
            )
            for bucket, before, after in wrong
        )
        losses = tuple(
            Loss(table=name, kind="bucket", where=bucket, recorded=before.rows, found=after.rows)
            for bucket, before, after in wrong
        )
        return Finding(was.rows, of, problems, losses=losses, buckets=len(was.buckets))
    limit = min(written, pace.updates.bound(elapsed, was.rows)) + pace.deletes.bound(elapsed, was.rows)
    if doubt := _beyond(recorded, gone, was, old.rows + written, limit):
        return Finding(was.rows, of, unknown=doubt, buckets=len(was.buckets), cover="changed")
    verb = say("deleted or changed") if deletes else say("changed")
    note = say(
        "{name}: {gone:,} of {rows:,} rows {verb} since they were recorded, as production does",
        name=name,
        gone=gone,
        rows=was.rows,
        verb=verb,
    )
    cover: Cover = "rows" if recorded.first else "changed"
    return Finding(was.rows, of, notes=(note,), buckets=len(was.buckets), cover=cover)


def _of_a_copy(recorded: TableHistory, was: OpenRows, now: OpenRows, of: str, elapsed: dt.timedelta) -> Finding:
    """Judge rows of which it is not known when they were written: of a dump's restore."""
    name, pace = recorded.table.name, recorded.pace
    updates, deletes = pace.updates.seen, pace.deletes.seen
    if now.rows < was.rows and not deletes:
        problem = say(
            "{name}: {gone:,} of {rows:,} rows missing; production never deletes rows of it",
            name=name,
            gone=was.rows - now.rows,
            rows=was.rows,
        )
        loss = Loss(table=name, kind="bucket", where="all", recorded=was.rows, found=now.rows)
        return Finding(was.rows, of, (problem,), losses=(loss,), buckets=len(was.buckets))
    changed = [entry for entry in differences(was.buckets, now.buckets) if entry[1].rows == entry[2].rows]
    if changed and not deletes and not updates:
        problems = tuple(
            say("{name}{bucket}: {text}", name=name, bucket=_bucket(bucket), text=text(before, after))
            for bucket, before, after in changed
        )
        return Finding(was.rows, of, problems, buckets=len(was.buckets))
    deleted = pace.deletes.bound(elapsed, was.rows)
    # A row that is updated leaves one part for another where rows have no key by which to divide them.
    updated = pace.updates.bound(elapsed, was.rows) * (1 if was.keys else 2)
    doubt = _beyond(recorded, max(0, was.rows - now.rows), was, now.rows, deleted)
    added = max(0, now.rows - was.rows) + deleted
    if doubt := doubt or _beyond(recorded, was.touched(now), was, now.rows, updated + deleted + added):
        return Finding(was.rows, of, unknown=doubt, buckets=len(was.buckets), cover="changed")
    if was.keys and was.keys == now.keys:
        note = say("{name}: the same keys, other content: updated since, as production does", name=name)
        return Finding(
            was.rows, of, notes=(note,), buckets=len(was.buckets), cover="rows" if recorded.first else "keys"
        )
    note = say(
        "{name}: {rows:,} rows recorded, {found:,} found: written since, as production does",
        name=name,
        rows=was.rows,
        found=now.rows,
    )
    cover: Cover = "rows" if recorded.first else "changed"
    return Finding(was.rows, of, notes=(note,), buckets=len(was.buckets), cover=cover)


def _beyond(recorded: TableHistory, differ: int, was: OpenRows, found: int, limit: int) -> str:
    """Why a difference is more than production explains: `differ` rows, with a `limit`; empty where it is not."""
    if not found and was.rows and not recorded.first and not recorded.was_empty:
        return say(
            "{name}: empty, {rows:,} rows recorded: lost, or all deleted since, which no capture saw before; capture "
            "it once while it is empty, or compare with the original ([recovery.source])",
            name=recorded.table.name,
            rows=was.rows,
        )
    if differ <= limit:
        return ""
    return say(
        "{name}: at least {differ:,} of {rows:,} rows recorded are deleted or changed, {found:,} found; by what "
        "production was seen to do, no more than {limit:,} in that time: lost, or a change unlike any before; capture "
        "more often, or compare with the original ([recovery.source])",
        name=recorded.table.name,
        differ=differ,
        rows=was.rows,
        found=found,
        limit=limit,
    )


def check_spread(recorded: TableHistory, restored: Source) -> Finding:
    """Compare how closed rows are distributed over the values of columns that may change."""
    probe, table = recorded.probe, recorded.table
    if probe is None or not probe.spread or probe.rows < _FEWEST:
        return Finding(0, "")
    span = Span(edge(table, probe.since), edge(table, probe.until))
    now = read_spread(restored, table, span, probe.quoted)
    limit = max(MOVED, recorded.moved * _AGAIN)
    problems = []
    for name, before in probe.spread.items():
        after = now.get(name, {})
        share = moved(before, after)
        if share > limit or (share >= 1 and limit >= 1):
            problems.append(
                say(
                    "{name}.{column}: {share:.0%} of {rows:,} closed rows have another value than recorded, "
                    "limit {limit:.0%} ({before} recorded, {after} found)",
                    name=table.name,
                    column=name,
                    share=share,
                    rows=probe.rows,
                    limit=limit,
                    before=_most(before),
                    after=_most(after),
                )
            )
    of = say(
        "distribution of {spread} over {rows:,} closed rows compared", spread=", ".join(probe.spread), rows=probe.rows
    )
    return Finding(0, of, tuple(problems))


def _most(spread: Mapping[str, int]) -> str:
    shown = sorted(spread.items(), key=lambda entry: -entry[1])[:3]
    return ", ".join(f"{rows:,} {value}" for value, rows in shown) or say("none")


def _bucket(name: str) -> str:
    return "" if name in ("0", "rest") else f" {name}"
