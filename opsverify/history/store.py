"""Store of a target's snapshots: one SQLite file that `sqlite3` reads, written by one process at a time.

SELECT taken_at, key, json_extract(body, '$.calls') FROM snapshot JOIN row ON snapshot = id
 WHERE subject = 'postgres.statements';
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from opsverify.errors import EvidenceError
from opsverify.history.compare import NotComparable, Pair, compare
from opsverify.history.snapshot import Origin, Snapshot
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEPS: Final = (
    """
    CREATE TABLE snapshot (
        id INTEGER PRIMARY KEY,
        subject TEXT NOT NULL,
        taken_at TEXT NOT NULL,
        same TEXT NOT NULL,
        began TEXT NOT NULL,
        lost INTEGER NOT NULL,
        coverage REAL,
        run_id TEXT,
        remove_after TEXT
    );
    CREATE INDEX snapshot_subject ON snapshot (subject, taken_at);
    CREATE TABLE row (
        snapshot INTEGER NOT NULL REFERENCES snapshot ON DELETE CASCADE,
        key TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (snapshot, key)
    ) WITHOUT ROWID;
    """,
)
"""What makes a file of version n one of version n + 1. A step that was released is never changed."""

_LOCK_S: Final = 30.0
_COLUMNS: Final = "id, subject, taken_at, same, began, lost, coverage, run_id"


@dataclass(frozen=True)
class HistoryStore:
    """The snapshots in the file `path`, which need not be there yet."""

    path: Path

    def record(self, snapshot: Snapshot) -> Snapshot:
        """Keep a snapshot, durably; it, with its place. Removes what was to be kept until now.

        Raises EvidenceError where the file cannot be written, is damaged, or is of a newer opsverify.
        """
        with self._writing() as database:
            database.execute("DELETE FROM snapshot WHERE remove_after < ?", [_text(dt.datetime.now(dt.UTC))])
            until = snapshot.taken_at + dt.timedelta(days=snapshot.keep_days) if snapshot.keep_days else None
            cursor = database.execute(
                "INSERT INTO snapshot (subject, taken_at, same, began, lost, coverage, run_id, remove_after)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    snapshot.subject,
                    _text(snapshot.taken_at),
                    _json(snapshot.origin.same),
                    _json(snapshot.origin.began),
                    snapshot.origin.lost,
                    snapshot.coverage,
                    snapshot.run_id,
                    _text(until) if until else None,
                ],
            )
            number = cursor.lastrowid or 0
            # A snapshot that was deleted by hand, without foreign_keys, leaves rows under a number that is given again.
            database.execute("DELETE FROM row WHERE snapshot = ?", [number])
            database.executemany(
                "INSERT INTO row VALUES (?, ?, ?)", ((number, key, _json(row)) for key, row in snapshot.rows.items())
            )
        return snapshot.numbered(number)

    def subjects(self) -> tuple[str, ...]:
        """Names of what was recorded."""
        with self._reading() as database:
            return tuple(name for (name,) in database.execute("SELECT DISTINCT subject FROM snapshot ORDER BY 1"))

    def snapshots(
        self, subject: str, *, since: dt.datetime | None = None, with_rows: bool = True
    ) -> tuple[Snapshot, ...]:
        """The snapshots of `subject`, oldest first; without their rows where only age and origin matter.

        Raises EvidenceError where the file is damaged or of a newer opsverify.
        """
        with self._reading() as database:
            found = database.execute(
                f"SELECT {_COLUMNS} FROM snapshot WHERE subject = ? AND taken_at >= ? ORDER BY taken_at, id",  # noqa: S608 - our own columns
                [subject, _text(since) if since else ""],
            ).fetchall()
            return tuple(_snapshot(entry, _rows(database, entry[0]) if with_rows else {}) for entry in found)

    def before(self, later: Snapshot, *, at_least_s: float, span_s: float) -> Pair | NotComparable:
        """`later` with the earlier snapshot that lies nearest to `span_s` before it, of those that are comparable.

        None comparable: the reason of the newest one that lies before it.
        """
        known = [one for one in self.snapshots(later.subject, with_rows=False) if one.number != later.number]
        earlier = [one for one in known if one.taken_at < later.taken_at] or known
        outcomes = [(one, compare(one, later, at_least_s=at_least_s)) for one in earlier]
        pairs = [found for _, found in outcomes if isinstance(found, Pair)]
        if pairs:
            nearest = min(pairs, key=lambda pair: abs(pair.span_s - span_s))
            return Pair(self._whole(nearest.earlier), later)
        reasons = [found for _, found in outcomes if isinstance(found, NotComparable)]
        young = next((found for found in reasons if found.kind == "young"), None)  # the earliest comparable one
        if reasons:
            return young or reasons[-1]
        return NotComparable("none", say("no earlier snapshot"))

    def _whole(self, snapshot: Snapshot) -> Snapshot:
        with self._reading() as database:
            rows = _rows(database, snapshot.number or 0)
        return Snapshot(
            snapshot.subject, snapshot.taken_at, snapshot.origin, rows, snapshot.coverage, run_id=snapshot.run_id,
            number=snapshot.number,
        )  # fmt: skip

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, alone; the file is made, and brought to the newest version, where it is not."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock"), timeout=_LOCK_S):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as database:
                    database.execute("PRAGMA journal_mode = DELETE")
                    database.execute("PRAGMA foreign_keys = ON")
                    self._migrate(database)
                    database.execute("BEGIN IMMEDIATE")
                    yield database
                    database.execute("COMMIT")
        except Timeout as error:
            raise EvidenceError(
                say("{path}: another process has been writing for {seconds:g} s; await its end", path=self.path,
                    seconds=_LOCK_S)
            ) from error  # fmt: skip
        except (sqlite3.Error, OSError) as error:
            raise EvidenceError(self._unusable(error)) from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            if not self.path.exists():
                with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
                    self._migrate(empty)
                    yield empty
                return
            with contextlib.closing(sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)) as database:
                if self._version(database) < len(STEPS):  # an older file: read as the newest, in memory
                    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
                        database.backup(copy)
                        self._migrate(copy)
                        yield copy
                    return
                yield database
        except (sqlite3.Error, OSError) as error:
            raise EvidenceError(self._unusable(error)) from error

    def _migrate(self, database: sqlite3.Connection) -> None:
        for number in range(self._version(database), len(STEPS)):
            # One transaction a step: a process that is killed here leaves the old version or the new one.
            database.executescript(f"BEGIN IMMEDIATE; {STEPS[number]} PRAGMA user_version = {number + 1}; COMMIT;")

    def _version(self, database: sqlite3.Connection) -> int:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > len(STEPS):
            raise EvidenceError(
                say(
                    "{path}: version {version} of a newer opsverify, this one knows {known}; update opsverify",
                    path=self.path,
                    version=version,
                    known=len(STEPS),
                )
            )
        return int(version)

    def _unusable(self, error: Exception) -> str:
        return say(
            "{path}: the history cannot be used ({error}); free the disk, or move the file away to begin anew",
            path=self.path,
            error=error,
        )


def _rows(database: sqlite3.Connection, number: int) -> dict[str, Any]:
    found = database.execute("SELECT key, body FROM row WHERE snapshot = ?", [number])
    return {key: json.loads(body) for key, body in found}


def _snapshot(entry: tuple[Any, ...], rows: dict[str, Any]) -> Snapshot:
    number, subject, taken_at, same, began, lost, coverage, run_id = entry
    origin = Origin(json.loads(same), json.loads(began), lost)
    return Snapshot(subject, dt.datetime.fromisoformat(taken_at), origin, rows, coverage, run_id=run_id, number=number)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _text(moment: dt.datetime) -> str:
    """One form, so that the order of the texts is the order of the moments."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
