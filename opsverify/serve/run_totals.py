"""Totals of runs: ends by decision, and how long they took, counted with each end and never counted back.

They lie beside the runs in the same file and grow in the transaction that records an end, so that neither a restart nor
the removal of runs makes a counter of `/metrics` fall.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

BUCKETS_S: Final = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600)
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS total (
    stage TEXT NOT NULL, target TEXT NOT NULL, decision TEXT NOT NULL, runs INTEGER NOT NULL,
    PRIMARY KEY (stage, target, decision)
) STRICT;
CREATE TABLE IF NOT EXISTS duration (
    stage TEXT NOT NULL, target TEXT NOT NULL, at_most REAL NOT NULL, runs INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (stage, target, at_most)
) STRICT;
"""
_COUNTED: Final = 1
"""`user_version` of a file whose runs are all counted."""


@dataclass
class DurationTotal:
    """Durations of one stage on one target: ends by the smallest bound that they keep to, and their sum."""

    by_bound: dict[float, int] = field(default_factory=dict)
    seconds: float = 0.0

    def within(self, bound: float) -> int:
        """How many took at most `bound` seconds."""
        return sum(runs for at_most, runs in self.by_bound.items() if at_most <= bound)


@dataclass(frozen=True)
class RunTotals:
    """All totals: ends by stage, target and decision, durations by stage and target."""

    ended: dict[tuple[str, str, str], int]
    durations: dict[tuple[str, str], DurationTotal]


def count_end(database: sqlite3.Connection, run_id: str) -> None:
    """Count the end of a run, in the transaction that records it."""
    found = database.execute("SELECT stage, target, decision, begun_at, finished_at FROM run WHERE id = ?", (run_id,))
    _count(database, *found.fetchone())


def count_earlier(database: sqlite3.Connection) -> None:
    """Count, once, the runs of a file that is older than its totals; in a transaction of its own."""
    if database.execute("PRAGMA user_version").fetchone()[0] >= _COUNTED:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        ended = "SELECT stage, target, decision, begun_at, finished_at FROM run WHERE state = 'finished'"
        for row in database.execute(ended).fetchall():
            _count(database, *row)
        database.execute(f"PRAGMA user_version = {_COUNTED}")
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def read_totals(database: sqlite3.Connection) -> RunTotals:
    """Every total."""
    ended = {
        (stage, target, decision): runs
        for stage, target, decision, runs in database.execute(
            "SELECT stage, target, decision, runs FROM total ORDER BY stage, target, decision"
        )
    }
    durations: defaultdict[tuple[str, str], DurationTotal] = defaultdict(DurationTotal)
    for stage, target, at_most, runs, seconds in database.execute(
        "SELECT stage, target, at_most, runs, seconds FROM duration ORDER BY stage, target, at_most"
    ):
        total = durations[stage, target]
        total.by_bound[at_most] = runs
        total.seconds += seconds
    return RunTotals(ended, dict(durations))


def _count(
    database: sqlite3.Connection, stage: str, target: str, decision: str, begun_at: str | None, finished_at: str
) -> None:
    database.execute(
        "INSERT INTO total VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET runs = runs + 1", (stage, target, decision)
    )
    seconds = _seconds(begun_at, finished_at)
    at_most = next((float(bound) for bound in BUCKETS_S if seconds <= bound), float("inf"))
    database.execute(
        "INSERT INTO duration VALUES (?, ?, ?, 1, ?)"
        " ON CONFLICT DO UPDATE SET runs = runs + 1, seconds = seconds + excluded.seconds",
        (stage, target, at_most, seconds),
    )


def _seconds(begun: str | None, finished: str) -> float:
    if begun is None:
        return 0.0
    return max(0.0, (dt.datetime.fromisoformat(finished) - dt.datetime.fromisoformat(begun)).total_seconds())
