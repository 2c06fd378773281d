"""Steps of a drill: verify the backup, restore it, query the restored server, take it down.

Each step returns one frozen part. An error ends the drill; the parts that were reached before it stay.
"""

from __future__ import annotations

import datetime as dt
import secrets
import socket
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, cast

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.recovery.backup.base_backup import verify
from opsverify.recovery.drill.parts import (
    NO_LEDGER,
    NO_PLATFORM,
    AnswersPart,
    ArchivePart,
    BackupPart,
    DrillParts,
    LedgerPart,
    NotReached,
    PlatformPart,
    RestorePart,
    TablePart,
    ValidationPart,
)
from opsverify.recovery.drill.platform import SMOKE, start_platform
from opsverify.recovery.drill.timing import Transferred
from opsverify.recovery.postgres.identifiers import qualified
from opsverify.recovery.postgres.server_log import SLOW_MS, look_through
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.restore.pg_restore import restore_dump
from opsverify.recovery.restore.pitr import restore
from opsverify.recovery.restore.preflight import preflight
from opsverify.recovery.restore.throughput import extrapolate
from opsverify.recovery.rpo.measure import RpoInputs
from opsverify.recovery.rpo.objectives import rto
from opsverify.recovery.verify.finding import Finding
from opsverify.recovery.verify.key_counts import compare
from opsverify.recovery.verify.questions import examine, examine_stopped, sampling_of, without_roles
from opsverify.recovery.verify.single_table import SCRATCH, restore_table
from opsverify.recovery.wal.continuity import continuity

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    from opsverify.config.model import Recovery
    from opsverify.recovery.backup.pg_dump import DumpSource
    from opsverify.recovery.backup.source import BackupSource, PhysicalSource, Unpacked
    from opsverify.recovery.drill.timing import StageTimer
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.ledger import Recorded
    from opsverify.recovery.ledger.queries import Facts, Source
    from opsverify.recovery.model import BaseBackup
    from opsverify.recovery.postgres.server import Server
    from opsverify.recovery.postgres.tools import Tools
    from opsverify.recovery.restore.pitr import RestoredServer
    from opsverify.recovery.restore.preflight import Preflight
    from opsverify.recovery.restore.throughput import Extrapolated
    from opsverify.recovery.rpo.measure import RpoMeasurement

    Reached = Generator[DrillParts, None, None]
    """The parts reached so far, after each step that reached one."""

SMALL = {"shared_buffers": "128MB", "max_wal_size": "1GB"}
"""A drill serves one session: it needs none of the primary's memory."""
LEAST = dt.timedelta(microseconds=1)
"""Recovery ends at the first commit *after* its target: the target lies this much before the last one archived."""
_JUDGMENTS = "SELECT count(*) FROM judgment_executions"
_SEED_BITS = 48


class RestoreBlocked(Exception):  # noqa: N818 - a restore that was not tried, which is no error of the backup
    """A restore that this machine, or the target, kept from being tried; the cause is the blocked reason."""


@contextmanager
def _restoring() -> Iterator[None]:
    try:
        yield
    except NotRestorable:
        raise
    except Inconclusive as error:
        raise RestoreBlocked from error


@dataclass(frozen=True)
class DrillSteps:
    """Inputs of one drill's steps, which run in the folder `scratch`."""

    recovery: Recovery
    dbname: str
    recorded: Recorded | None
    queries: Mapping[str, str]
    timer: StageTimer
    scratch: Path
    evidence: Path
    history: History | None = None
    live: Callable[[], Source] | None = None

    def run(self, source: BackupSource, parts: DrillParts) -> Reached:
        """Verify and restore the backup of `source`, verify the restored data, take the restored server down.

        Raises NotRestorable, RestoreBlocked, or Inconclusive where backup or archive cannot be read.
        """
        with self.timer.stage("integrity"):
            parts = replace(parts, backup=BackupPart(source.verify().problems))
        yield parts
        if self.recovery.method == "pg_dump":
            yield from self._dump(cast("DumpSource", source), parts)
        else:
            yield from self._physical(cast("PhysicalSource", source), parts)

    def _physical(self, source: PhysicalSource, parts: DrillParts) -> Reached:
        began = time.monotonic()
        with source.unpacked(self.scratch) as unpacked:
            unpack_s = time.monotonic() - began if unpacked.ours else 0.0
            if unpacked.ours:
                self.timer.add(self.timer.elapsed() - unpack_s, {"unpack": unpack_s}, {})
            tools = find_tools(unpacked.backup.major)
            problems = (*parts.backup.problems, *unpacked.problems, *self._problems_unpacked(unpacked, tools))
            parts = replace(parts, backup=BackupPart(problems))
            yield parts
            with self.timer.stage("continuity") as transferred:
                wal = continuity(unpacked.backup, unpacked.archive, tools, source.until)
                transferred.segments = wal.segments
            target_time = source.until or (wal.last_commit_at and wal.last_commit_at - LEAST)
            if target_time is None:
                raise Inconclusive(
                    f"no commit after the backup in {unpacked.archive}: there is no point in time to restore to"
                )
            last_commit_at = wal.last_commit_at.isoformat() if wal.last_commit_at else None
            parts = replace(
                parts,
                # Not when the drill began: what was archived while the backup was verified is not lost.
                archive_read_at=dt.datetime.now(dt.UTC).isoformat(),
                target_time=target_time.isoformat(),
                backup=BackupPart(problems, self._label(unpacked.backup), unpacked.backup.started_at.isoformat()),
                archive=ArchivePart(wal.problem, wal.segments, last_commit_at),
            )
            yield parts
            with _restoring():
                with self.timer.stage("preflight"):
                    ready = preflight(unpacked.backup, wal, tools, self.scratch, target_time, ours=unpacked.ours)
                parts = replace(parts, backup=replace(parts.backup, size=ready.size))
                yield parts
                yield from self._restore(unpacked, ready, target_time, unpack_s, parts)

    def _problems_unpacked(self, unpacked: Unpacked, tools: Tools) -> tuple[str, ...]:
        """Problems of a backup that the drill unpacked itself, by its manifest; empty where it has none."""
        if not unpacked.ours or not (unpacked.backup.path / "backup_manifest").exists():
            return ()
        with self.timer.stage("integrity of the unpacked backup"):
            return verify(unpacked.backup, tools).problems

    def _label(self, backup: BaseBackup) -> str:
        return str(self.recovery.base_backup or f"{self.recovery.method} {backup.label}")

    def _restore(
        self, unpacked: Unpacked, ready: Preflight, target_time: dt.datetime, unpack_s: float, parts: DrillParts
    ) -> Reached:
        """Restore a base backup to `target_time`, and verify it."""
        segment_size = unpacked.backup.segment_size
        before = self.timer.elapsed()
        judgments: list[int] = []
        with ExitStack() as stack:
            server = stack.enter_context(
                restore(
                    unpacked.backup,
                    unpacked.archive,
                    self.scratch / "data",
                    target_time=target_time,
                    port=_free_port(),
                    socket_dir=self.scratch / "s",
                    progress=self.timer.restore_progress(segment_size),
                    dbname=self.dbname,
                    settings={**ready.primary, **SMALL, "log_min_duration_statement": f"{SLOW_MS}ms"},
                    at_target=lambda paused: judgments.append(self._count_judgments(paused)),
                    ours=unpacked.ours,
                )
            )
            replayed = Transferred(server.replayed, -(-server.replayed // segment_size))
            copied = {} if unpacked.ours else {"copy": Transferred(ready.size)}
            self.timer.add(before, server.durations, {**copied, "recover": replayed})
            durations = {"unpack": unpack_s, **server.durations}
            yield from self._verify(server, before, judgments[0], durations, unpacked, parts)
            with self.timer.stage("teardown"):
                stack.close()

    def _dump(self, source: DumpSource, parts: DrillParts) -> Reached:
        archive, taken_at = source.newest()
        taken = taken_at.isoformat()
        backup = replace(parts.backup, label=str(archive), taken_at=taken)
        parts = replace(parts, target_time=taken, backup=backup, archive=ArchivePart(None, None, taken))
        yield parts
        before = self.timer.elapsed()
        with _restoring(), ExitStack() as stack:
            roles = source.roles_at(taken_at)
            server = stack.enter_context(
                restore_dump(
                    archive,
                    self.scratch / "data",
                    major=source.major,
                    taken_at=taken_at,
                    port=_free_port(),
                    socket_dir=self.scratch / "s",
                    progress=self.timer.restore_progress(1),
                    dbname=self.dbname,
                    settings={**SMALL, "log_min_duration_statement": f"{SLOW_MS}ms"},
                    roles=roles,
                )
            )
            self.timer.add(before, server.durations, {})
            judgments = self._count_judgments(server.server)
            yield from self._verify(
                server, before, judgments, dict(server.durations), None, parts, with_roles=roles is not None
            )
            with self.timer.stage("teardown"):
                stack.close()

    def _verify(
        self,
        server: RestoredServer,
        before: float,
        judgments: int,
        durations: Mapping[str, float],
        physical: Unpacked | None,
        parts: DrillParts,
        *,
        with_roles: bool = True,
    ) -> Reached:
        """Validate the restored data, restore one table alone, start a platform on it, verify everything else.

        `before` is when the restore began, in seconds of the drill; `physical` is None for a dump.
        """
        ends = (before + server.to_target_s, before + server.to_read_write_s)
        times = rto(*ends)
        recovered_to = server.recovered_to.isoformat() if server.recovered_to else None
        parts = replace(
            parts,
            restore=RestorePart(
                times.to_target_s, times.to_read_write_s, recovered_to, server.timeline, judgments, durations
            ),
        )
        yield parts
        with self.timer.stage("validate"):
            parts = replace(parts, ledger=self._ledger_facts(server))
            yield parts
            if physical is not None:
                parts = replace(parts, rpo=self._rpo(server, physical, parts.archive_read_at))
                yield parts
            log = look_through(server.server.log_lines())
        validated_s = self.timer.elapsed()
        rto(*ends, validated_s)
        more = self._extrapolate(parts.backup.size or 0, validated_s)
        parts = replace(parts, validation=ValidationPart(validated_s, log.errors, log.slow, more))
        yield parts
        with self.timer.stage("random table") as transferred:
            table = self._random_table(server)
            transferred.bytes = None if isinstance(table, NotReached) else table.size
        parts = replace(parts, table=table)
        yield parts
        data = self.scratch / "data"
        with self.timer.stage("examine"):
            answers = examine(server, self.dbname, data, self.history, sampling_of(self.recovery), self.live)
        parts = replace(parts, platform=self._platform(server, validated_s))  # not earlier: a platform writes
        yield parts
        with self.timer.stage("checksums"):  # last: it stops the server
            answers |= examine_stopped(server, data)
        if not with_roles:
            answers = without_roles(answers)
        findings = {name: Finding.from_dict(answer) for name, answer in answers.items()}
        yield replace(parts, answers=AnswersPart(findings))

    def _count_judgments(self, server: Server) -> int:
        """Rows of the judgment log, read while the server pauses at its target, where nothing can be written yet."""
        answer = server.psql(_JUDGMENTS, dbname=self.dbname, timeout_s=600.0)
        if answer.exit_code != 0:
            raise NotRestorable(f"the restored database cannot be read: {answer.first_error}")
        return int(answer.stdout.strip())

    def _ledger_facts(self, server: RestoredServer) -> LedgerPart | NotReached:
        """Facts of the restored database, for the windows that the ledger recorded."""
        if not self.recorded:
            return NO_LEDGER
        return LedgerPart(_query(server.dsn, self.dbname, self.recorded, self.queries))

    def _rpo(self, server: RestoredServer, physical: Unpacked, archive_read_at: str) -> RpoMeasurement:
        """The data lost if the disaster had been at `archive_read_at`, as the RPO sources report it."""

        def numbers(table: str) -> list[int]:
            rows = server.server.rows(f"SELECT number FROM {qualified(table)}", dbname=self.dbname)  # noqa: S608 - quoted
            return [int(number) for (number,) in rows]

        inputs = RpoInputs(self.recovery, physical.backup, physical.archive, server.server.tools)
        at = dt.datetime.fromisoformat(archive_read_at)
        return inputs.of_drill(server.recovered_to, server.target_time, at, numbers)

    def _extrapolate(self, copied: int, validated_s: float) -> Extrapolated | None:
        """How long a restore of production's size would take; None where that size is not given."""
        size = self.recovery.production_bytes
        copying = sum(stage.seconds for stage in self.timer.stages if stage.name == "copy")
        return extrapolate(int(size), copied, self.timer.meter.rates, validated_s - copying) if size else None

    def _platform(self, server: RestoredServer, validated_s: float) -> PlatformPart | NotReached:
        """Start a platform on the restored database, clear its cache, smoke it, and read the cache again.

        `validated_s` is when the data was validated: `to_serving_s` goes on from there.
        """
        if self.recovery.platform is None:
            return NO_PLATFORM
        began = self.timer.elapsed()
        part = PlatformPart()
        try:
            with ExitStack() as stack:
                with self.timer.stage("platform"):
                    home = self.scratch / "platform"
                    platform = stack.enter_context(
                        start_platform(self.recovery.platform, server.server, self.dbname, home)
                    )
                if self.recovery.platform.clear_cache:
                    with self.timer.stage("cache"):
                        part = replace(part, cleared_at=platform.clear_cache().isoformat())
                with self.timer.stage("smoke"):
                    part = replace(part, smoke=platform.smoke(self.evidence / SMOKE))
                if part.cleared_at:
                    part = replace(part, cached=platform.cached())
                part = replace(part, to_serving_s=validated_s + self.timer.elapsed() - began)
        except Inconclusive as error:
            return replace(part, blocked=str(error))
        return part

    def _random_table(self, server: RestoredServer) -> TablePart | NotReached:
        seed = self.recovery.random_seed
        seed = secrets.randbits(_SEED_BITS) if seed is None else seed
        folder = self.scratch / "table"
        folder.mkdir()
        try:
            drawn = restore_table(server.server, self.dbname, folder, self.recovery.random_tables, seed)
            return self._compare_with_ledger(server, TablePart(**asdict(drawn)))
        except NotRestorable as error:
            return NotReached(f"{error} (seed {seed})", "backup")
        except Inconclusive as error:
            return NotReached(f"{error} (seed {seed})")

    def _compare_with_ledger(self, server: RestoredServer, part: TablePart) -> TablePart:
        """Compare the table that was restored alone with the ledger, if that recorded it."""
        name = part.table.removeprefix("public.")
        if self.recorded is None or name not in self.recorded.tables:
            return part
        recorded = replace(self.recorded, tables={name: self.recorded.tables[name]})
        found = _query(server.dsn, SCRATCH, recorded, self.queries)
        different = compare(recorded, found, server.target_time)
        return replace(part, ledger_keys=len(recorded.tables[name]), ledger_differences=tuple(map(str, different)))


def _query(dsn: str, dbname: str, recorded: Recorded, queries: Mapping[str, str]) -> dict[str, Facts]:
    from opsverify.recovery.postgres.session import RestoredSession  # noqa: PLC0415 - loads psycopg

    with RestoredSession(dsn, dbname) as session:
        return recorded.ask_again(session.rows, queries)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
