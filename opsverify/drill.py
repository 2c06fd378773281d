"""A restore drill: the actual backup, restored beside production on this machine, asked, thrown away.

What the drill saw is one JSON file of the run's evidence; the checks of the `rehearsal` stage read that file.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import socket
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from opsverify.came_back import sampling_of
from opsverify.drill_course import Course
from opsverify.drill_examination import examine
from opsverify.errors import Inconclusive, NotRestorable
from opsverify.limits import brief, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.recovery import BaseBackup, Preflight, Recorded, RestoredServer, Server, Tools
    from opsverify.recovery.facts import Source
    from opsverify.recovery.returned import History
    from opsverify.target import Recovery

SMALL = {"shared_buffers": "128MB", "max_wal_size": "1GB"}
"""A drill serves one session: it needs none of the primary's memory."""
_JUDGMENTS = "SELECT count(*) FROM judgment_executions"
_SEED_BITS = 48


@dataclass(frozen=True)
class Drill:
    """Facts of one drill. Times are ISO 8601; `problems` are what pg_verifybackup says of the backup.

    `looked_at` is when the archive was read, before the restore took its time. `to_target_s`, `to_read_write_s` and
    `to_validated_s` count from the drill's beginning, integrity and continuity included. `failure` is why the backup
    cannot be restored, `hindrance` why this drill could not find that out. Everything else: docs/dr.md.
    """

    problems: tuple[str, ...]
    continuity: str | None
    segments: int
    last_commit_at: str | None
    target_time: str
    looked_at: str
    base_backup: str = ""
    backup_at: str | None = None
    recovered_to: str | None = None
    to_target_s: float | None = None
    to_read_write_s: float | None = None
    to_validated_s: float | None = None
    timeline: int | None = None
    read: int | None = None
    durations: Mapping[str, float] | None = None
    stages: tuple[Mapping[str, Any], ...] = ()
    size: int | None = None
    extrapolated: Mapping[str, Any] | None = None
    log_errors: tuple[str, ...] = ()
    log_slow: tuple[str, ...] = ()
    testimony: Mapping[str, Any] | None = None
    table: Mapping[str, Any] | None = None
    table_failure: str | None = None
    table_hindrance: str | None = None
    failure: str | None = None
    hindrance: str | None = None
    facts: Mapping[str, Any] | None = None
    answers: Mapping[str, Any] | None = None

    @classmethod
    def read_from(cls, path: Path) -> Drill:
        """The drill kept in `path`."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lists: dict[str, Any] = {name: tuple(value) for name, value in raw.items() if isinstance(value, list)}
        return cls(**{**raw, **lists})

    @property
    def pace(self) -> str:
        """How fast it went, and how long production's size would take, in words."""
        speed = {stage["name"]: stage for stage in self.stages}
        said = []
        if (copy := speed.get("copy")) and copy["bytes"] and copy["seconds"]:
            said.append(f"copy {copy['bytes'] / copy['seconds'] / 1e9:.3g} GB/s")
        if (recover := speed.get("recover")) and recover["segments"] and recover["seconds"]:
            said.append(f"{recover['segments'] / recover['seconds']:.3g} WAL segments/s")
        if (more := self.extrapolated) is not None:
            low, high = (brief(more[end]) for end in ("low_s", "high_s"))
            said.append(f"production's {quantity(more['size'], 'bytes')} would take {low} to {high}")
        return ", ".join(said) or "nothing was copied"


def run_drill(
    recovery: Recovery,
    dbname: str,
    recorded: Recorded | None,
    queries: Mapping[str, str],
    keep: TextIO,
    say: Callable[[str], None],
    history: History | None = None,
    live: Callable[[], Source] | None = None,
) -> None:
    """Verify the backup, follow its WAL, restore it, read and write, ask for the ledger's facts; write a `Drill`.

    Of the restored server everything in `came_back` is asked as well, against `history`; `live` opens the original.
    Raises Inconclusive where backup or archive cannot even be looked at.
    """
    from opsverify.recovery import backup as backups  # noqa: PLC0415 - only stages that restore
    from opsverify.recovery import continuity, find_tools, major_of, preflight  # noqa: PLC0415

    base, archive = Path(recovery.base_backup), Path(recovery.wal_archive)
    course = Course(say)
    tools = find_tools(major_of(base))
    found = backups.inspect(base, tools, archive)
    with course.stage("integrity"):
        integrity = backups.verify(found, tools)
    with course.stage("continuity") as moved:
        wal = continuity(found, archive, tools, recovery.recovery_target)
        moved.segments = wal.segments
    looked_at = dt.datetime.now(dt.UTC)
    target_time = recovery.recovery_target or wal.newest_target
    if target_time is None:
        raise Inconclusive(f"no commit after the backup in {archive}: there is no point in time to restore to")
    facts: dict[str, Any] = {
        "problems": integrity.problems,
        "continuity": wal.problem,
        "segments": wal.segments,
        "last_commit_at": wal.last_commit_at.isoformat() if wal.last_commit_at else None,
        "target_time": target_time.isoformat(),
        "looked_at": looked_at.isoformat(),
        "base_backup": str(base),
        "backup_at": found.started_at.isoformat(),
    }
    work = _Work(
        recovery, dbname, recorded, queries, found, archive, tools, target_time, looked_at, course, facts, history, live
    )
    try:
        with tempfile.TemporaryDirectory(prefix="ov-", dir=recovery.scratch) as scratch:
            Path(scratch).chmod(0o755)  # the server's unprivileged account has to read its way in
            with course.stage("preflight"):
                ready = preflight(found, wal, tools, Path(scratch), target_time)
            facts["size"] = ready.size
            work.restore(ready, Path(scratch))
    except NotRestorable as error:
        facts["failure"] = str(error)
    except Inconclusive as error:
        facts["hindrance"] = str(error)
    facts["stages"] = [asdict(stage) for stage in course.stages]
    json.dump(asdict(Drill(**facts)), keep, indent=1)


@dataclass
class _Work:
    """One drill at work; what it finds goes into `facts`."""

    recovery: Recovery
    dbname: str
    recorded: Recorded | None
    queries: Mapping[str, str]
    backup: BaseBackup
    archive: Path
    tools: Tools
    target_time: dt.datetime
    looked_at: dt.datetime
    course: Course
    facts: dict[str, Any]
    history: History | None
    live: Callable[[], Source] | None

    def restore(self, ready: Preflight, scratch: Path) -> None:
        """Restore, ask, and take the restored server down again."""
        from opsverify.recovery import SLOW_MS, restore, rto  # noqa: PLC0415

        course = self.course
        before = course.elapsed()
        own = {"log_min_duration_statement": f"{SLOW_MS}ms"}
        with ExitStack() as stack:
            server = stack.enter_context(
                restore(
                    self.backup.path,
                    self.archive,
                    scratch / "data",
                    target_time=self.target_time,
                    port=_free_port(),
                    socket_dir=scratch / "s",
                    progress=course.restoring(self.backup.segment_size),
                    dbname=self.dbname,
                    settings={**ready.primary, **SMALL, **own},
                    at_target=self._read,
                )
            )
            moved = {"copy": {"bytes": ready.size}, "recover": self._replayed(server)}
            course.follow(before, server.durations, moved)
            self.facts |= {
                "recovered_to": server.recovered_to.isoformat() if server.recovered_to else None,
                "timeline": server.timeline,
                "durations": dict(server.durations),
            }
            reached = (before + server.to_target_s, before + server.to_read_write_s)
            self.facts |= vars(rto(*reached))
            with course.stage("validate"):
                self._validate(server)
            self.facts |= vars(rto(*reached, course.elapsed()))
            self._extrapolate(ready.size)
            with course.stage("random table") as moving:
                self._random_table(server, scratch)
                moving.bytes = (self.facts.get("table") or {}).get("size")
            with course.stage("examine"):  # last: it stops the server, to verify checksums
                self.facts["answers"] = examine(
                    server, self.dbname, scratch / "data", self.history, sampling_of(self.recovery), self.live
                )
            with course.stage("teardown"):
                stack.close()

    def _replayed(self, server: RestoredServer) -> dict[str, int]:
        return {"bytes": server.replayed, "segments": -(-server.replayed // self.backup.segment_size)}

    def _read(self, server: Server) -> None:
        """Read while the server pauses at its target, where nothing can be written yet."""
        answer = server.psql(_JUDGMENTS, dbname=self.dbname, timeout_s=600.0)
        if answer.exit_code != 0:
            raise NotRestorable(f"the restored database cannot be read: {answer.first_error}")
        self.facts["read"] = int(answer.stdout.strip())

    def _validate(self, server: RestoredServer) -> None:
        """Ask for what the ledger recorded, hear the witnesses, and look through the server's log."""
        from opsverify.recovery import look_through  # noqa: PLC0415
        from opsverify.testimony import Hearing, quoted  # noqa: PLC0415

        if self.recorded:
            self.facts["facts"] = _asked(server.dsn, self.dbname, self.recorded, self.queries)
        hearing = Hearing(self.recovery, self.backup, self.archive, self.tools)

        def numbers(table: str) -> list[int]:
            rows = server.server.rows(f"SELECT number FROM {quoted(table)}", dbname=self.dbname)  # noqa: S608 - quoted
            return [int(number) for (number,) in rows]

        said = hearing.of_drill(server.recovered_to, self.target_time, self.looked_at, numbers)
        self.facts["testimony"] = said.to_wire()
        look = look_through(server.server.log_lines())
        self.facts |= {"log_errors": look.errors, "log_slow": look.slow}

    def _extrapolate(self, copied: int) -> None:
        from opsverify.recovery import extrapolate  # noqa: PLC0415

        size = self.recovery.production_bytes
        copying = sum(stage.seconds for stage in self.course.stages if stage.name == "copy")
        fixed_s = self.facts["to_validated_s"] - copying
        found = extrapolate(int(size), copied, self.course.meter.rates, fixed_s) if size else None
        self.facts["extrapolated"] = asdict(found) if found else None

    def _random_table(self, server: RestoredServer, scratch: Path) -> None:
        from opsverify.recovery import restore_table  # noqa: PLC0415

        seed = self.recovery.random_seed
        seed = secrets.randbits(_SEED_BITS) if seed is None else seed
        folder = scratch / "table"
        folder.mkdir()
        try:
            drawn = restore_table(server.server, self.dbname, folder, self.recovery.random_tables, seed)
            compared = self._compare_with_ledger(server, drawn.table)
            self.facts["table"] = {**asdict(drawn), **compared}
        except NotRestorable as error:
            self.facts["table_failure"] = f"{error} (seed {seed})"
        except Inconclusive as error:
            self.facts["table_hindrance"] = f"{error} (seed {seed})"

    def _compare_with_ledger(self, server: RestoredServer, drawn: str) -> dict[str, Any]:
        """Hold the table that was restored alone against the ledger, if that recorded it."""
        from opsverify.recovery import SCRATCH, compare  # noqa: PLC0415

        name = drawn.removeprefix("public.")
        if self.recorded is None or name not in self.recorded.tables:
            return {"ledger_keys": None, "ledger_differences": []}
        recorded = replace(self.recorded, tables={name: self.recorded.tables[name]})
        found = _asked(server.dsn, SCRATCH, recorded, self.queries)
        different = compare(recorded, found, self.target_time)
        return {"ledger_keys": len(recorded.tables[name]), "ledger_differences": [str(one) for one in different]}


def _asked(dsn: str, dbname: str, recorded: Recorded, queries: Mapping[str, str]) -> dict[str, Any]:
    import psycopg  # noqa: PLC0415 - the drill's own server, not the target's: no probe of the target fits

    with psycopg.connect(dsn, dbname=dbname, autocommit=True) as connection:

        def source(sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
            return connection.execute(sql.encode(), dict(parameters)).fetchall()

        return recorded.ask_again(source, queries)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def age_s(moment: str, now: str) -> float:
    """Seconds from `moment` to `now`, both ISO 8601."""
    return (dt.datetime.fromisoformat(now) - dt.datetime.fromisoformat(moment)).total_seconds()
