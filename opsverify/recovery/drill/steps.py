"""Steps of a drill: verify the backup, restore it, verify the restored data, take the server down.

Each step returns one frozen part. An error ends the drill; the parts that were reached before it stay.
"""

from __future__ import annotations

import datetime as dt
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.evidence.files import sha256_of
from opsverify.language.message import say
from opsverify.recovery.backup.base_backup import verify
from opsverify.recovery.drill.parts import (
    ArchivePart,
    BackupPart,
    DrillParts,
)
from opsverify.recovery.drill.timing import Transferred
from opsverify.recovery.drill.verification import DrillVerification, ReadRows, read_rows
from opsverify.recovery.postgres.server_log import SLOW_MS
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.restore.overrides import own_settings
from opsverify.recovery.restore.pg_restore import DumpRestorePlan, restore_dump
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.preflight import preflight
from opsverify.recovery.restore.recoverable import end_of
from opsverify.recovery.restore.restored_server import Destination, reserved_port
from opsverify.recovery.wal.continuity import LEAST, continuity

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from opsverify.recovery.backup.pg_dump import DumpSource
    from opsverify.recovery.backup.source import BackupSource, PhysicalSource, Unpacked
    from opsverify.recovery.model import BaseBackup
    from opsverify.recovery.postgres.tools import Tools
    from opsverify.recovery.restore.preflight import Preflight

    Reached = Generator[DrillParts, None, None]
    """The parts reached so far, after each step that reached one."""

SMALL = {"shared_buffers": "128MB", "max_wal_size": "1GB"}
"""A drill serves one session: it needs none of the primary's memory."""


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
class DrillSteps(DrillVerification):
    """Steps from a backup to a restored server, run in the folder `scratch`; then those of a `DrillVerification`."""

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
            unpack_s = time.monotonic() - began if unpacked.movable else 0.0
            if unpacked.movable:
                self.timer.add(self.timer.elapsed() - unpack_s, {"unpack": unpack_s}, {})
            tools = find_tools(unpacked.backup.major)
            problems = (
                *parts.backup.problems,
                *unpacked.problems,
                *self._problems_unpacked(unpacked, tools),
                *self._another_cluster(unpacked.backup),
            )
            parts = replace(parts, backup=BackupPart(problems))
            yield parts
            with self.timer.stage("continuity") as transferred:
                wal = continuity(unpacked.backup, unpacked.archive, tools, source.until)
                transferred.segments = wal.segments
            to_backup_end = wal.committed_after_backup is None and (
                source.until is None or source.until <= end_of(unpacked.backup)
            )
            target_time = source.until or wal.newest_target(LEAST) or end_of(unpacked.backup)
            last_commit_at = wal.last_commit_at.isoformat() if wal.last_commit_at else None
            parts = replace(
                parts,
                # Not when the drill began: what was archived while the backup was verified is not lost.
                archive_read_at=dt.datetime.now(dt.UTC).isoformat(),
                target_time=target_time.isoformat(),
                backup=BackupPart(
                    problems,
                    self._label(unpacked.backup),
                    unpacked.backup.started_at.isoformat(),
                    manifest_sha256=_manifest_sum(unpacked.backup.path),
                ),
                archive=ArchivePart(wal.problem, wal.segments, last_commit_at),
            )
            yield parts
            if wal.last is None:
                raise NotRestorable(str(wal.problem))
            with _restoring():
                with self.timer.stage("preflight"):
                    until = None if to_backup_end else target_time
                    ready = preflight(unpacked.backup, wal, tools, self.scratch, until, movable=unpacked.movable)
                parts = replace(parts, backup=replace(parts.backup, size=ready.size))
                yield parts
                yield from self._restore(unpacked, ready, target_time, unpack_s, parts, to_backup_end=to_backup_end)

    def _problems_unpacked(self, unpacked: Unpacked, tools: Tools) -> tuple[str, ...]:
        """Problems of a backup that the drill unpacked itself, by its manifest; empty where it has none."""
        if not unpacked.movable or not (unpacked.backup.path / "backup_manifest").exists():
            return ()
        with self.timer.stage(say("integrity of the unpacked backup")):
            return verify(unpacked.backup, tools).problems

    def _another_cluster(self, backup: BaseBackup) -> tuple[str, ...]:
        """A problem where ledger and backup are of two clusters: nothing of one can prove the other."""
        recorded = self.history.system if self.history else None
        if recorded is None or recorded == str(backup.system_identifier):
            return ()
        return (
            (
                say(
                    "the backup is of the cluster {system_identifier}, the ledger was recorded of "
                    "{recorded}: name the backup and the ledger of one cluster (after pg_upgrade or initdb "
                    "capture anew)",
                    system_identifier=backup.system_identifier,
                    recorded=recorded,
                )
            ),
        )

    def _label(self, backup: BaseBackup) -> str:
        return str(self.recovery.base_backup or f"{self.recovery.method} {backup.label}")

    def _restore(
        self,
        unpacked: Unpacked,
        ready: Preflight,
        target_time: dt.datetime,
        unpack_s: float,
        parts: DrillParts,
        *,
        to_backup_end: bool,
    ) -> Reached:
        """Restore a base backup to `target_time`, and verify it."""
        segment_size = unpacked.backup.segment_size
        before = self.timer.elapsed()
        read: list[ReadRows] = []
        with ExitStack() as stack:
            port = stack.enter_context(reserved_port())
            server = stack.enter_context(
                restore(
                    RestorePlan(
                        unpacked.backup,
                        unpacked.archive,
                        self._destination(ready.primary, port),
                        target_time,
                        to_backup_end=to_backup_end,
                        skip_missing_includes=self.recovery.skip_missing_includes,
                        movable=unpacked.movable,
                        at_target=lambda paused: read.append(read_rows(paused, self.dbname, self.validations)),
                        progress=self.timer.restore_progress(segment_size),
                    )
                )
            )
            replayed = Transferred(server.replayed, -(-server.replayed // segment_size))
            copied = {} if unpacked.movable else {"copy": Transferred(ready.size)}
            self.timer.add(before, server.durations, {**copied, "recover": replayed})
            durations = {"unpack": unpack_s, **server.durations}
            yield from self.verify(server, before, read[0], durations, unpacked, parts)
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
            port = stack.enter_context(reserved_port())
            roles = source.roles_at(taken_at)
            server = stack.enter_context(
                restore_dump(
                    DumpRestorePlan(
                        archive,
                        self._destination({}, port),
                        major=source.major,
                        taken_at=taken_at,
                        roles=roles,
                        checksums=self.history.page_checksums if self.history else None,
                        progress=self.timer.restore_progress(1),
                    )
                )
            )
            self.timer.add(before, server.durations, {})
            read = read_rows(server.server, self.dbname, self.validations)
            yield from self.verify(
                server, before, read, dict(server.durations), None, parts, with_roles=roles is not None
            )
            with self.timer.stage("teardown"):
                stack.close()

    def _destination(self, primary: Mapping[str, str], port: int) -> Destination:
        """The drill's own server; `primary` are the least sizes that recovery needs."""
        chosen = own_settings(self.recovery.settings)
        settings = {**primary, **SMALL, "log_min_duration_statement": f"{SLOW_MS}ms", **chosen}
        return Destination(self.scratch / "data", self.scratch / "s", port, dbname=self.dbname, settings=settings)


def _manifest_sum(backup: Path) -> str | None:
    """The SHA-256 sum of the backup's own manifest, which names the sums of all of its files; None without one."""
    try:
        return sha256_of(backup / "backup_manifest")
    except OSError:
        return None
