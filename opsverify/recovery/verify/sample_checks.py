"""Columns that production changes, which no row's hash has in it: compared by the share of rows that changed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from opsverify.language.message import join, say
from opsverify.recovery.ledger.pace import AGAIN
from opsverify.recovery.ledger.row_sample import NULL, read_again
from opsverify.recovery.verify.finding import Finding
from opsverify.recovery.verify.open_checks import MOVED

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Container

    from opsverify.recovery.ledger.history import TableHistory
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.row_sample import RowSample

FEWEST: Final = 8
"""Rows below which a sample proves nothing."""
_SIGMAS: Final = 4.0
"""How far above its mean a count may be by chance."""


def check_sample(recorded: TableHistory, restored: Source, at: dt.datetime, known: Container[str] = ()) -> Finding:
    """Compare the sample of the columns that are not hashed, but those of which more is `known`.

    More rows changed than production was seen to update: it holds. A column that lost its values (all NULL, or all
    the same) is a problem, unless production may have updated all of it: then it holds, too.
    """
    sample = recorded.sample
    if sample is None or len(sample.keys) < FEWEST:
        return Finding(0, "")
    now = read_again(restored, recorded.table, sample)
    problems: list[str] = []
    unknown: list[str] = []
    for column in sample.columns:
        if column in known:
            continue
        lost = _lost(recorded, sample, now, column)
        beyond = _beyond(recorded, sample, now, column, at)
        if lost and beyond:
            problems.append(lost)
        elif lost or beyond:
            unknown.append(lost or beyond)
    of = say("{rows:,} rows sampled of the columns that change", rows=len(sample.keys))
    return Finding(0, of, tuple(problems), join("; ", unknown) or None)


def _lost(recorded: TableHistory, sample: RowSample, now: RowSample, column: str) -> str:
    """Say that a column holds one value, or NULL, in far more rows than recorded; empty where it does not."""
    _, before = sample.commonest(column)
    value, after = now.commonest(column)
    seen = recorded.shares.get(column, (0.0, 0.0))[1]
    if after - before <= max(MOVED, seen * AGAIN):
        return ""
    what = say("NULL values") if value == NULL else say("the same value")
    return say(
        "{name}.{column}: {after:.0%} of the rows hold {what}, {before:.0%} held one value when recorded (after an "
        "intended change capture anew)",
        name=recorded.table.name,
        column=column,
        after=after,
        before=before,
        what=what,
    )


def _beyond(recorded: TableHistory, sample: RowSample, now: RowSample, column: str, at: dt.datetime) -> str:
    """Say that more rows changed than production was seen to update; empty where no more did, or none was seen to."""
    changed, of = sample.changed(now, column)
    updates = recorded.pace.updates
    if of < FEWEST or not updates.seen:
        return ""
    limit = updates.bound(recorded.elapsed(at), sample.rows)
    share = max(limit / max(1, sample.rows), recorded.shares.get(column, (0.0, 0.0))[0] * AGAIN)
    expected = of * min(1.0, share)
    if changed <= expected + _SIGMAS * math.sqrt(expected) + AGAIN:
        return ""
    return say(
        "{name}.{column}: {share:.0%} of {rows:,} sampled rows have another value than recorded; by what production "
        "was seen to do, no more than {limit:,} of {all:,} were updated in that time: lost, or a change unlike any "
        "before; capture more often, or compare with the original ([recovery.source])",
        name=recorded.table.name,
        column=column,
        share=changed / of,
        rows=of,
        limit=limit,
        all=sample.rows,
    )
