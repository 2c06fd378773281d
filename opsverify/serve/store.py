"""Store of gate runs: one SQLite file. A change is on the disk before it is answered."""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

import msgspec

from opsverify.errors import EvidenceError
from opsverify.language.message import say
from opsverify.serve.declined import Declined
from opsverify.serve.run_process import RunProcess
from opsverify.serve.run_table import SCHEMA as RUNS
from opsverify.serve.run_table import add_columns, run_of
from opsverify.serve.run_totals import SCHEMA, count_earlier, count_end, read_totals

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from opsverify.serve.bodies import Approval
    from opsverify.serve.gate_run import Conclusion, GateRun, RunRequest, RunState
    from opsverify.serve.run_totals import RunTotals

LOG: Final = logging.getLogger("opsverify.serve")
RETRY_AFTER_S: Final = "30"


class RunStore:
    """Every run that was ever asked for, and every decision of a person.

    Where the file cannot be read or written, every method raises Declined (503) and has changed nothing.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises EvidenceError."""
        self._lock = threading.RLock()
        self._depth = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(0o600)
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            self._database.row_factory = sqlite3.Row
            self._database.execute("PRAGMA journal_mode = WAL")  # whoever reads the file keeps no change from it
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(RUNS + SCHEMA)
            add_columns(self._database)
            count_earlier(self._database)
        except (OSError, sqlite3.Error) as error:
            raise EvidenceError(say("{path}: cannot be used ({error})", path=path, error=error)) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block's changes, or none; a transaction in another one is part of that."""
        with self._lock, _declined():
            if not self._depth:
                self._roll_back()  # one that could not be rolled back when it failed would take all later ones with it
                self._database.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._database.execute("COMMIT")
            except BaseException:
                if self._depth == 1:
                    with contextlib.suppress(sqlite3.Error):  # on a full disk it fails too, and would hide the cause
                        self._roll_back()
                raise
            finally:
                self._depth -= 1

    def _roll_back(self) -> None:
        if self._database.in_transaction:  # SQLite ends some that fail by itself
            self._database.execute("ROLLBACK")

    def add(self, run: GateRun) -> None:
        """Keep a new run, queued."""
        request, release = run.request, run.request.release
        self._run(
            "INSERT INTO run (id, key, stage, target, options, namespace, name, checksum, image, hook, started_by,"
            " state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            run.id, run.key, request.stage, request.target, json.dumps(request.options),
            release.namespace if release else None, release.name if release else None,
            release.checksum if release else None, release.image if release else None,
            request.hook, run.started_by, run.state.value,
            run.created_at.isoformat(),
        )  # fmt: skip

    def begin(self, run_id: str, at: dt.datetime) -> bool:
        """A queued run is under way; recorded before it is. False where it is queued no longer."""
        return self._run(
            "UPDATE run SET state = 'running', begun_at = ? WHERE id = ? AND state = 'queued'", at.isoformat(), run_id
        )

    def started(self, process: RunProcess) -> None:
        """Keep which process carries out a run: a later server has to end it."""
        self._run("UPDATE run SET pid = ?, pid_mark = ? WHERE id = ?", process.pid, process.mark, process.run_id)

    def process_of(self, run_id: str) -> RunProcess | None:
        """The process that carried out a run; None where none was started, or an earlier version started it."""
        found = self._query("SELECT id, pid, pid_mark FROM run WHERE id = ? AND pid IS NOT NULL", run_id)
        return RunProcess(*found[0]) if found else None

    def finish(self, run_id: str, conclusion: Conclusion, at: dt.datetime, *, is_event: bool = False) -> None:
        """A run has ended; `is_event`: somebody is to be told of it. A second end changes nothing."""
        with self.transaction():
            ended = self._run(
                "UPDATE run SET state = 'finished', finished_at = ?, exit_code = ?, run_id = ?, verdict_sha256 = ?,"
                " decision = ?, reasons = ? WHERE id = ? AND state <> 'finished'",
                at.isoformat(), conclusion.exit_code, conclusion.run_id, conclusion.verdict_sha256,
                conclusion.decision.value, json.dumps([[each.en, each.ko] for each in conclusion.reasons]), run_id,
            )  # fmt: skip
            if ended:
                count_end(self._database, run_id)
            if ended and is_event:
                self._run("INSERT INTO unsent (run) VALUES (?)", run_id)

    def unsent(self) -> list[GateRun]:
        """The runs whose end somebody is still to be told of, in the order of their ends."""
        return list(self._runs("JOIN unsent ON unsent.run = run.id ORDER BY unsent.rowid"))

    def sent(self, run_id: str) -> None:
        """Nobody is to be told of it any more."""
        self._run("DELETE FROM unsent WHERE run = ?", run_id)

    def approve(self, run_id: str, approval: Approval) -> bool:
        """A person approved a hold; False, and nothing changed, where another one had, or it counts no longer."""
        with self.transaction():
            approved = self._run(
                "UPDATE run SET approval = ? WHERE id = ? AND approval IS NULL AND retired_at IS NULL",
                msgspec.json.encode(approval).decode(), run_id,
            )  # fmt: skip
            if approved:
                self.note(run_id, "approve", approval.token, approval.who, approval.why, approval.at)
        return approved

    def retire(self, run_id: str, at: dt.datetime) -> None:
        """A run counts no longer: its key is free."""
        self._run("UPDATE run SET retired_at = ? WHERE id = ? AND retired_at IS NULL", at.isoformat(), run_id)

    def note(self, run_id: str, what: str, token: str, who: str, why: str, at: str) -> None:
        """Keep who did what, and why."""
        self._run(
            "INSERT INTO event (run, at, what, token, who, why) VALUES (?, ?, ?, ?, ?, ?)",
            run_id, at, what, token, who, why,
        )  # fmt: skip

    def get(self, run_id: str) -> GateRun | None:
        """The run `run_id`."""
        return next(self._runs("WHERE id = ?", run_id), None)

    def by_key(self, key: str) -> GateRun | None:
        """The run that counts for `key`."""
        return next(self._runs("WHERE key = ? AND retired_at IS NULL", key), None)

    def newest_of_checksum(self, request: RunRequest) -> GateRun | None:
        """The newest run of the very release and checksum of `request`, over whichever hook."""
        checksum = request.release.checksum if request.release else None
        rest = f"WHERE {_SAME} AND checksum IS ? AND retired_at IS NULL ORDER BY rowid DESC LIMIT 1"
        return next(self._runs(rest, *_same(request), checksum), None)

    def open_of_release(self, request: RunRequest) -> list[GateRun]:
        """Runs of the release of `request` that wait, are under way, or let it pass; whatever the checksum."""
        rest = f"WHERE {_SAME} AND retired_at IS NULL AND {_OPEN} ORDER BY rowid DESC"
        return list(self._runs(rest, *_same(request)))

    def overtaken_by(self, run: GateRun) -> GateRun | None:
        """The newest later run of the same stage, target and release by which `run` lets nothing pass any more.

        One of another checksum, and one that ended as anything but a promotion: retired too, it was measured.
        """
        release = run.request.release
        checksum = release.checksum if release else None
        return next(self._runs(f"WHERE {_OVERTAKES} LIMIT 1", *_same(run.request), run.id, checksum), None)

    def in_state(self, state: RunState) -> list[GateRun]:
        """The runs in `state`, oldest first."""
        return list(self._runs("WHERE state = ? ORDER BY rowid", state.value))

    def count(self, state: RunState) -> int:
        """How many runs are in `state`."""
        found: int = self._query("SELECT count(*) FROM run WHERE state = ?", state.value)[0][0]
        return found

    def open_holds(self, stages: Collection[str]) -> int:
        """How many holds of these stages nobody approved or retired."""
        found: int = self._query(
            "SELECT count(*) FROM run WHERE decision = 'hold' AND approval IS NULL AND retired_at IS NULL"
            " AND stage IN (SELECT value FROM json_each(?))",
            json.dumps(sorted(stages)),
        )[0][0]
        return found

    def newest(self, most: int, stages: Collection[str] | None, targets: Collection[str] | None) -> list[GateRun]:
        """The newest runs of these stages on these targets; None: of all."""
        within = [None if each is None else json.dumps(sorted(each)) for each in (stages, targets)]
        return list(
            self._runs(
                "WHERE (?1 IS NULL OR stage IN (SELECT value FROM json_each(?1)))"
                " AND (?2 IS NULL OR target IN (SELECT value FROM json_each(?2))) ORDER BY rowid DESC LIMIT ?3",
                *within, most,
            )
        )  # fmt: skip

    def totals(self) -> RunTotals:
        """What was counted of all ends, of runs that are kept no longer too."""
        with self._lock, _declined():
            return read_totals(self._database)

    def _runs(self, rest: str, *values: object) -> Iterator[GateRun]:
        return iter([run_of(row) for row in self._query(f"SELECT * FROM run {rest}", *values)])  # noqa: S608 - literals

    def _query(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock, _declined():
            return self._database.execute(statement, values).fetchall()

    def _run(self, statement: str, *values: object) -> bool:
        """Whether it changed a row."""
        with self._lock, _declined():
            return self._database.execute(statement, values).rowcount > 0


_SAME: Final = "stage = ? AND target = ? AND namespace IS ? AND name IS ?"
_OPEN: Final = "(state <> 'finished' OR decision = 'promote' OR approval IS NOT NULL)"
_OVERTAKES: Final = (
    f"{_SAME} AND rowid > (SELECT rowid FROM run WHERE id = ?) AND (checksum IS NOT ? OR state = 'finished'"  # noqa: S608 - literals
    " AND (retired_at IS NOT NULL OR decision <> 'promote' AND approval IS NULL)) ORDER BY rowid DESC"
)


def _same(request: RunRequest) -> tuple[str | None, ...]:
    """The values of `_SAME`: stage, target and release of `request`."""
    release = request.release
    return request.stage, request.target, release.namespace if release else None, release.name if release else None


@contextlib.contextmanager
def _declined() -> Iterator[None]:
    """Turn a fault of the file into an answer: it passes, and nobody may take it for a decision."""
    try:
        yield
    except sqlite3.Error as error:
        LOG.error("runs.sqlite: %s", error)  # noqa: TRY400 - the file's fault, no trace
        message = say("runs.sqlite: {error}; nothing was changed, ask again", error=error)
        raise Declined(503, message, {"Retry-After": RETRY_AFTER_S}) from error
