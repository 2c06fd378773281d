"""Table of runs: its columns, those that a file of an earlier version lacks, and a row as a run."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from opsverify.core.stages import Decision
from opsverify.language.message import Message
from opsverify.serve.bodies import Approval, Release
from opsverify.serve.gate_run import Conclusion, GateRun, RunRequest, RunState

if TYPE_CHECKING:
    import sqlite3

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS run (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, stage TEXT NOT NULL, target TEXT NOT NULL, options TEXT NOT NULL,
    namespace TEXT, name TEXT, checksum TEXT, image TEXT, hook TEXT NOT NULL, started_by TEXT NOT NULL,
    state TEXT NOT NULL, created_at TEXT NOT NULL, begun_at TEXT, finished_at TEXT, exit_code INTEGER,
    run_id TEXT, verdict_sha256 TEXT, decision TEXT, reasons TEXT, approval TEXT, retired_at TEXT,
    pid INTEGER, pid_mark TEXT
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_run_a_key ON run (key) WHERE retired_at IS NULL;
CREATE INDEX IF NOT EXISTS state ON run (state);
CREATE INDEX IF NOT EXISTS open_hold ON run (stage) WHERE decision = 'hold' AND approval IS NULL AND retired_at IS NULL;
CREATE INDEX IF NOT EXISTS release ON run (stage, target, namespace, name);
CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL, token TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS unsent (run TEXT PRIMARY KEY) STRICT;
"""
_LATER_COLUMNS: Final = {"pid": "INTEGER", "pid_mark": "TEXT"}
"""Columns that a file of an earlier version lacks."""


def add_columns(database: sqlite3.Connection) -> None:
    """Add what a file of an earlier version lacks."""
    present = {row["name"] for row in database.execute("PRAGMA table_info(run)")}
    for name, kind in _LATER_COLUMNS.items():
        if name not in present:
            database.execute(f"ALTER TABLE run ADD COLUMN {name} {kind}")


def run_of(row: sqlite3.Row) -> GateRun:
    """The run in a row."""
    release = Release(row["name"], row["checksum"], row["namespace"], row["image"]) if row["checksum"] else None
    options = tuple((name, value) for name, value in json.loads(row["options"]))
    return GateRun(
        id=row["id"],
        key=row["key"],
        request=RunRequest(row["stage"], row["target"], options, release, row["hook"]),
        started_by=row["started_by"],
        created_at=dt.datetime.fromisoformat(row["created_at"]),
        state=RunState(row["state"]),
        begun_at=_moment(row["begun_at"]),
        finished_at=_moment(row["finished_at"]),
        conclusion=_conclusion(row),
        approval=msgspec.json.decode(row["approval"], type=Approval) if row["approval"] else None,
        retired_at=_moment(row["retired_at"]),
    )


def _conclusion(row: sqlite3.Row) -> Conclusion | None:
    if row["decision"] is None:
        return None
    reasons = tuple(Message.of(*texts) for texts in json.loads(row["reasons"]))
    return Conclusion(Decision(row["decision"]), reasons, row["exit_code"], row["run_id"], row["verdict_sha256"])


def _moment(text: Any) -> dt.datetime | None:  # noqa: ANN401 - a column
    return dt.datetime.fromisoformat(text) if text else None
