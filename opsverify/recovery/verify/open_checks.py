"""Open rows and distributions of a table compared with the ledger: what holds although production goes on.

Production may add, update and delete rows after the capture. What it does to a table is known: from its statistics,
and on a restored copy of the same cluster from each row, which names the transaction that wrote it. A difference
that these explain is no finding; the table is then covered by keys or by number only, and the verdict says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.recovery.ledger.buckets import Span, differences, edge, text
from opsverify.recovery.ledger.open_rows import read_open
from opsverify.recovery.ledger.probe import moved, read_spread
from opsverify.recovery.verify.finding import Finding
from opsverify.recovery.verify.loss import Loss

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.recovery.ledger.history import TableHistory
    from opsverify.recovery.ledger.open_rows import OpenRows
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.verify.finding import Cover

MOVED: Final = 0.5
"""Share of closed rows that may change a value from capture to recovery target, unless more did between captures."""
_AGAIN: Final = 2.0
"""How many times as large as the largest move between captures the move to the recovery target may be."""
_FEWEST: Final = 20
"""Rows below which a distribution proves nothing."""


def check_open(recorded: TableHistory, restored: Source, *, same_cluster: bool) -> Finding:
    """Compare the rows that no closed bucket holds; `same_cluster` where rows keep the transaction that wrote them."""
    was = recorded.open
    if was is None:
        return Finding(0, "")
    table, span = recorded.table, recorded.first
    now = read_open(restored, table, span)
    kind = "open rows" if span else "rows"
    of = f"{was.rows:,} {kind} compared"
    if now.buckets == was.buckets:
        return Finding(was.rows, of, buckets=len(was.buckets))
    if same_cluster and was.snapshot:
        old = read_open(restored, table, span, was.snapshot)
        return _judged(recorded, was, old, now.rows - old.rows, of)
    return _of_a_copy(recorded, was, now, of)


def _judged(recorded: TableHistory, was: OpenRows, old: OpenRows, written: int, of: str) -> Finding:
    """Judge `old`, the rows that were written before the snapshot; `written` were since."""
    name, activity = recorded.table.name, recorded.activity
    note = f"{name}: {written:,} rows written since they were recorded"
    wrong = list(differences(was.buckets, old.buckets))
    if not wrong:
        return Finding(was.rows, of, notes=(note,), buckets=len(was.buckets))
    gone = sum(max(0, before.rows - after.rows) for _, before, after in wrong)
    altered = [entry for entry in wrong if entry[2].rows >= entry[1].rows]
    updates, deletes = (activity.updates, activity.deletes) if activity else (0, 0)
    explained = deletes or (updates and gone <= written)
    if altered or not explained:
        problems = tuple(
            f"{name}{_bucket(bucket)}: {text(before, after)}, not written since it was recorded"
            if after.rows >= before.rows
            else f"{name}{_bucket(bucket)}: {text(before, after)}, {written:,} written since; production "
            f"{'updates' if updates else 'never updates'} and {'deletes' if deletes else 'never deletes'} rows of it "
            "(after an intended change capture anew)"
            for bucket, before, after in wrong
        )
        losses = tuple(
            Loss(table=name, kind="bucket", where=bucket, recorded=before.rows, found=after.rows)
            for bucket, before, after in wrong
        )
        return Finding(was.rows, of, problems, losses=losses, buckets=len(was.buckets))
    verb = "deleted or changed" if deletes else "changed"
    note = f"{name}: {gone:,} of {was.rows:,} rows {verb} since they were recorded, as production does"
    cover: Cover = "rows" if recorded.first else "count"
    return Finding(was.rows, of, notes=(note,), buckets=len(was.buckets), cover=cover)


def _of_a_copy(recorded: TableHistory, was: OpenRows, now: OpenRows, of: str) -> Finding:
    """Judge rows of which it is not known when they were written: of a dump's restore."""
    name, activity = recorded.table.name, recorded.activity
    cover: Cover = "rows" if recorded.first else "count"
    deletes, updates = (activity.deletes, activity.updates) if activity else (0, 0)
    if now.rows < was.rows and not deletes:
        problem = f"{name}: {was.rows - now.rows:,} of {was.rows:,} rows missing; production never deletes rows of it"
        loss = Loss(table=name, kind="bucket", where="all", recorded=was.rows, found=now.rows)
        return Finding(was.rows, of, (problem,), losses=(loss,), buckets=len(was.buckets))
    changed = [entry for entry in differences(was.buckets, now.buckets) if entry[1].rows == entry[2].rows]
    if changed and not deletes and not updates:
        problems = tuple(f"{name}{_bucket(bucket)}: {text(before, after)}" for bucket, before, after in changed)
        return Finding(was.rows, of, problems, buckets=len(was.buckets))
    if was.keys and was.keys == now.keys:
        note = f"{name}: the same keys, other content: updated since, as production does"
        return Finding(
            was.rows, of, notes=(note,), buckets=len(was.buckets), cover="rows" if recorded.first else "keys"
        )
    note = f"{name}: {was.rows:,} rows recorded, {now.rows:,} found: written since, as production does"
    return Finding(was.rows, of, notes=(note,), buckets=len(was.buckets), cover=cover)


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
                f"{table.name}.{name}: {share:.0%} of {probe.rows:,} closed rows have another value than recorded, "
                f"limit {limit:.0%} ({_most(before)} recorded, {_most(after)} found)"
            )
    of = f"distribution of {', '.join(probe.spread)} over {probe.rows:,} closed rows compared"
    return Finding(0, of, tuple(problems))


def _most(spread: Mapping[str, int]) -> str:
    shown = sorted(spread.items(), key=lambda entry: -entry[1])[:3]
    return ", ".join(f"{rows:,} {value}" for value, rows in shown) or "none"


def _bucket(name: str) -> str:
    return "" if name in ("0", "rest") else f" {name}"
