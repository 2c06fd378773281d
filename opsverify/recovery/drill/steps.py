"""What a drill does once the backup is verified: bring it back, ask it, take it down; and note what it saw."""

from __future__ import annotations

import datetime as dt
import secrets
import socket
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.recovery.backup.base_backup import verify
from opsverify.recovery.drill.platform import SMOKE, standing
from opsverify.recovery.postgres.identifiers import qualified
from opsverify.recovery.postgres.server_log import SLOW_MS, scan_log
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.restore.pg_restore import DumpRestorePlan, restore_dump
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.preflight import preflight
from opsverify.recovery.restore.restored_server import Destination
from opsverify.recovery.restore.throughput import extrapolate
from opsverify.recovery.rpo.measure import Hearing
from opsverify.recovery.rpo.objectives import rto
from opsverify.recovery.verify.key_counts import compare
from opsverify.recovery.verify.questions import examine, examine_stopped, sampling_of, without_roles
from opsverify.recovery.verify.single_table import SCRATCH, restore_table
from opsverify.recovery.wal.continuity import continuity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from opsverify.config.model import Recovery
    from opsverify.recovery.backup.pg_dump import DumpSource
    from opsverify.recovery.backup.source import BackupSource, PhysicalSource, Unpacked
    from opsverify.recovery.drill.timing import StageTimer
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.ledger import Recorded
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.postgres.server import Server
    from opsverify.recovery.restore.restored_server import RestoredServer

SMALL = {"shared_buffers": "128MB", "max_wal_size": "1GB"}
"""A drill serves one session: it needs none of the primary's memory."""
LEAST = dt.timedelta(microseconds=1)
"""Recovery ends at the first commit *after* its target: the target lies this much before the last one archived."""
_JUDGMENTS = "SELECT count(*) FROM judgment_executions"
_SEED_BITS = 48


class RestoreBlocked(Exception):  # noqa: N818 - tells a restore that could not be tried from what came before it
    """This machine, or the target asked for, kept the restore from being tried; the cause says why."""


@contextmanager
def _restoring() -> Iterator[None]:
    try:
        yield
    except NotRestorable:
        raise
    except Inconclusive as error:
        raise RestoreBlocked from error


@dataclass
class DrillSteps:
    """One drill at work in the folder `scratch`; what it finds goes into `facts`, the fields of a `Drill`."""

    recovery: Recovery
    dbname: str
    recorded: Recorded | None
    queries: Mapping[str, str]
    course: StageTimer
    facts: dict[str, Any]
    scratch: Path
    evidence: Path
    history: History | None = None
    live: Callable[[], Source] | None = None

    def bring_back(self, source: BackupSource) -> None:
        """Restore what `source` holds, ask it, and take the restored server down again.

        Raises NotRestorable, RestoreBlocked, or Inconclusive where backup or archive cannot even be looked at.
        """
        if self.recovery.method == "pg_dump":
            self._dump(cast("DumpSource", source))
        else:
            self._physical(cast("PhysicalSource", source))

    def _physical(self, source: PhysicalSource) -> None:
        course, facts = self.course, self.facts
        began = time.monotonic()
        with source.unpacked(self.scratch) as unpacked:
            unpacked_s = time.monotonic() - began if unpacked.movable else 0.0
            backup, archive = unpacked.backup, unpacked.archive
            tools = find_tools(backup.major)
            if unpacked.movable:
                course.follow(course.elapsed() - unpacked_s, {"unpack": unpacked_s}, {})
            again: tuple[str, ...] = ()
            if unpacked.movable and (backup.path / "backup_manifest").exists():
                with course.stage("integrity of the unpacked backup"):
                    again = verify(backup, tools).problems
            facts["problems"] = (*facts["problems"], *unpacked.problems, *again)
            with course.stage("continuity") as moved:
                wal = continuity(backup, archive, tools, source.until)
                moved.segments = wal.segments
            target_time = source.until or (wal.last_commit_at and wal.last_commit_at - LEAST)
            if target_time is None:
                raise Inconclusive(f"no commit after the backup in {archive}: there is no point in time to restore to")
            facts |= {
                # Not when the drill began: whatever was archived while the backup was verified is no loss.
                "looked_at": dt.datetime.now(dt.UTC).isoformat(),
                "continuity": wal.problem,
                "segments": wal.segments,
                "last_commit_at": wal.last_commit_at.isoformat() if wal.last_commit_at else None,
                "target_time": target_time.isoformat(),
                "base_backup": str(self.recovery.base_backup or f"{self.recovery.method} {backup.label}"),
                "backup_at": backup.started_at.isoformat(),
            }
            with _restoring(), ExitStack() as stack:
                with course.stage("preflight"):
                    ready = preflight(backup, wal, tools, self.scratch, target_time, movable=unpacked.movable)
                facts["size"] = ready.size
                before = course.elapsed()
                server = stack.enter_context(
                    restore(
                        RestorePlan(
                            backup,
                            archive,
                            self._destination(ready.primary),
                            target_time,
                            movable=unpacked.movable,
                            at_target=self._read,
                            progress=course.restoring(backup.segment_size),
                        )
                    )
                )
                replayed = {"bytes": server.replayed, "segments": -(-server.replayed // backup.segment_size)}
                copied = {} if unpacked.movable else {"copy": {"bytes": ready.size}}
                course.follow(before, server.durations, {**copied, "recover": replayed})
                facts["durations"] = {"unpack": unpacked_s, **server.durations}
                self._ask(server, before, unpacked)
                with course.stage("teardown"):
                    stack.close()

    def _dump(self, source: DumpSource) -> None:
        archive, taken_at = source.newest()
        taken = taken_at.isoformat()
        self.facts |= {"target_time": taken, "last_commit_at": taken, "base_backup": str(archive), "backup_at": taken}
        before = self.course.elapsed()
        with _restoring(), ExitStack() as stack:
            roles = source.roles_at(taken_at)
            server = stack.enter_context(
                restore_dump(
                    DumpRestorePlan(
                        archive,
                        self._destination({}),
                        major=source.major,
                        taken_at=taken_at,
                        roles=roles,
                        progress=self.course.restoring(1),
                    )
                )
            )
            self.course.follow(before, server.durations, {})
            self.facts["durations"] = dict(server.durations)
            self._read(server.server)
            self._ask(server, before, None)
            if roles is None:
                self.facts["answers"] = without_roles(self.facts["answers"])
            with self.course.stage("teardown"):
                stack.close()

    def _destination(self, primary: Mapping[str, str]) -> Destination:
        """The drill's own server; `primary` are the least sizes that recovery needs."""
        settings = {**primary, **SMALL, "log_min_duration_statement": f"{SLOW_MS}ms"}
        return Destination(
            self.scratch / "data", self.scratch / "s", _free_port(), dbname=self.dbname, settings=settings
        )

    def _ask(self, server: RestoredServer, before: float, physical: Unpacked | None) -> None:
        """Note how far and how fast it came back, validate the data, restore one table alone, do business on it."""
        course, facts = self.course, self.facts
        reached = (before + server.to_target_s, before + server.to_read_write_s)
        facts |= vars(rto(*reached))
        facts["recovered_to"] = server.recovered_to.isoformat() if server.recovered_to else None
        facts["timeline"] = server.timeline
        with course.stage("validate"):
            self._validate(server, physical)
        facts |= vars(rto(*reached, course.elapsed()))
        self._extrapolate(facts.get("size") or 0)
        with course.stage("random table") as moving:
            self._random_table(server)
            moving.bytes = (facts.get("table") or {}).get("size")
        data = self.scratch / "data"
        with course.stage("examine"):
            answers = examine(server, self.dbname, data, self.history, sampling_of(self.recovery), self.live)
        self._do_business(server)  # not earlier: a platform writes
        with course.stage("checksums"):  # last: it stops the server
            facts["answers"] = answers | examine_stopped(server, data)

    def _read(self, server: Server) -> None:
        """Read while the server pauses at its target, where nothing can be written yet."""
        answer = server.psql(_JUDGMENTS, dbname=self.dbname, timeout_s=600.0)
        if answer.exit_code != 0:
            raise NotRestorable(f"the restored database cannot be read: {answer.first_error}")
        self.facts["read"] = int(answer.stdout.strip())

    def _validate(self, server: RestoredServer, physical: Unpacked | None) -> None:
        """Ask for what the ledger recorded, hear the witnesses, and look through the server's log."""
        if self.recorded:
            self.facts["facts"] = _asked(server.dsn, self.dbname, self.recorded, self.queries)
        if physical is not None:
            self._hear(server, physical)
        look = scan_log(server.server.log_lines())
        self.facts |= {"log_errors": look.errors, "log_slow": look.slow}

    def _hear(self, server: RestoredServer, physical: Unpacked) -> None:
        def numbers(table: str) -> list[int]:
            rows = server.server.rows(f"SELECT number FROM {qualified(table)}", dbname=self.dbname)  # noqa: S608 - quoted
            return [int(number) for (number,) in rows]

        hearing = Hearing(self.recovery, physical.backup, physical.archive, server.server.tools)
        looked_at = dt.datetime.fromisoformat(self.facts["looked_at"])
        said = hearing.of_drill(server.recovered_to, server.target_time, looked_at, numbers)
        self.facts["testimony"] = said.to_dict()

    def _extrapolate(self, copied: int) -> None:
        size = self.recovery.production_bytes
        copying = sum(stage.seconds for stage in self.course.stages if stage.name == "copy")
        fixed_s = self.facts["to_validated_s"] - copying
        found = extrapolate(int(size), copied, self.course.meter.rates, fixed_s) if size else None
        self.facts["extrapolated"] = asdict(found) if found else None

    def _do_business(self, server: RestoredServer) -> None:
        """Start a platform on the restored database, clear its cache, smoke it, and look at the cache again."""
        if self.recovery.platform is None:
            return
        course = self.course
        began = course.elapsed()
        done: dict[str, Any] = {}
        try:
            with ExitStack() as stack:
                with course.stage("platform"):
                    home = self.scratch / "platform"
                    platform = stack.enter_context(standing(self.recovery.platform, server.server, self.dbname, home))
                if self.recovery.platform.clear_cache:
                    with course.stage("cache"):
                        done["cleared_at"] = platform.clear_cache().isoformat()
                with course.stage("smoke"):
                    done["smoke"] = platform.smoke(self.evidence / SMOKE)
                if "cleared_at" in done:
                    done["cached"] = vars(platform.cached())
                self.facts["to_serving_s"] = self.facts["to_validated_s"] + course.elapsed() - began
        except Inconclusive as error:
            self.facts["business_hindrance"] = str(error)
        self.facts["business"] = done

    def _random_table(self, server: RestoredServer) -> None:
        seed = self.recovery.random_seed
        seed = secrets.randbits(_SEED_BITS) if seed is None else seed
        folder = self.scratch / "table"
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
        name = drawn.removeprefix("public.")
        if self.recorded is None or name not in self.recorded.tables:
            return {"ledger_keys": None, "ledger_differences": []}
        recorded = replace(self.recorded, tables={name: self.recorded.tables[name]})
        found = _asked(server.dsn, SCRATCH, recorded, self.queries)
        different = compare(recorded, found, server.target_time)
        return {"ledger_keys": len(recorded.tables[name]), "ledger_differences": [str(one) for one in different]}


def _asked(dsn: str, dbname: str, recorded: Recorded, queries: Mapping[str, str]) -> dict[str, Any]:
    from opsverify.recovery.postgres.session import RestoredSession  # noqa: PLC0415 - probes are imported when used

    with RestoredSession(dsn, dbname) as session:
        return recorded.read_facts(session.rows, queries)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
