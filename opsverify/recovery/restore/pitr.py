"""Point-in-time recovery of a base backup, on a server of its own that can touch nothing else."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.backup import base_backup, tablespaces
from opsverify.recovery.model import BaseBackup
from opsverify.recovery.postgres.scratch import make_open
from opsverify.recovery.postgres.server import Server, ServerExited
from opsverify.recovery.postgres.tools import find_tools, for_account, may_enter, unprivileged
from opsverify.recovery.restore.configured_server import ConfiguredServer, configure
from opsverify.recovery.restore.copy_backup import copy_backup, move_backup, private_folder
from opsverify.recovery.restore.diagnosis import early_exit_error, early_target, exit_error, small_setting
from opsverify.recovery.restore.restored_server import (
    Destination,
    Progress,
    RestoredServer,
    Stopwatch,
    no_progress,
    probe_writes,
)
from opsverify.recovery.wal.continuity import unbroken_run
from opsverify.recovery.wal.timelines import branches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opsverify.recovery.postgres.tools import Account, Tools

_STALLED_S: Final = 900.0
"""Recovery that replays nothing for so long will not go on."""
_LONGEST_SOCKET: Final = 107 - len("/.s.PGSQL.65535")

_STATE: Final = (
    "SELECT pg_get_wal_replay_pause_state(), "
    "to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'), "
    "current_setting('archive_mode'), "
    "pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')"
)
_WRITTEN: Final = "SELECT current_setting('archive_mode'), pg_walfile_name(pg_current_wal_lsn())"


def _no_reading(_server: Server) -> None:
    """What callers do that read nothing from the paused server."""


@dataclass(frozen=True)
class RestorePlan:
    """What to restore, to which time, and where.

    `to_backup_end`: nothing was committed since, so recovery ends where the backup does, and `target_time` is then.
    `timeline` is the newest by default; `within_s` bounds recovery, in seconds. A `movable` backup lies in the drill's
    own folder: its files are moved, not copied. `at_target` may read from the server while it pauses at the target.
    """

    base_backup: Path | BaseBackup
    wal_archive: Path
    destination: Destination
    target_time: dt.datetime
    to_backup_end: bool = False
    skip_missing_includes: bool = False
    timeline: int | None = None
    within_s: float = 4 * 3600.0
    movable: bool = False
    at_target: Callable[[Server], None] = _no_reading
    progress: Progress = no_progress

    @property
    def folder(self) -> Path:
        """The folder of the base backup."""
        return self.base_backup.path if isinstance(self.base_backup, BaseBackup) else self.base_backup


@dataclass(frozen=True)
class PreparedRestore:
    """A plan found to be possible: the backup as read, the timeline to recover on, tools, and who runs the server."""

    plan: RestorePlan
    backup: BaseBackup
    timeline: int
    tools: Tools
    account: Account | None


@dataclass(frozen=True)
class RecoveredPoint:
    """The point that recovery reached: the last commit's time, None without one; WAL read for it, in bytes."""

    last_commit_at: dt.datetime | None
    replayed: int


@contextmanager
def restore(plan: RestorePlan) -> Iterator[RestoredServer]:
    """Carry out `plan`; on leaving, stop the server and remove all of it.

    Stages: prepare, copy, recover to the target and pause there, verify the point reached, `at_target`, promote,
    probe a write (rolled back). Raises NotRestorable when backup or WAL are at fault, Inconclusive when anything else
    is; one line says what.
    """
    watch = Stopwatch()
    with ExitStack() as stack:
        prepared = stack.enter_context(prepare(plan))
        watch.end("prepare")
        place_backup(prepared)
        watch.end("copy")
        started = _configured(prepared)
        server = stack.enter_context(started.server)
        point = recover(prepared, server)
        to_target_s = watch.end("recover")
        plan.at_target(server)
        watch.end("read_only")
        plan.progress("read_only", 1, 1)
        promote(server)
        watch.end("promote")
        probe_writes(server)
        reached = _timeline_written(server)
        to_read_write_s = watch.end("write_probe")
        plan.progress("promote", 1, 1)
        destination = prepared.plan.destination
        yield RestoredServer(
            dsn=server.dsn(destination.dbname),
            host=str(destination.socket_dir),
            port=destination.port,
            backup=prepared.backup,
            target_time=plan.target_time,
            recovered_to=point.last_commit_at,
            replayed=point.replayed,
            timeline=reached,
            to_target_s=to_target_s,
            to_read_write_s=to_read_write_s,
            durations=watch.durations,
            log=destination.log_file,
            server=server,
            overridden=started.overridden,
        )


@contextmanager
def prepare(plan: RestorePlan) -> Iterator[PreparedRestore]:
    """Refuse a plan that cannot succeed or would touch anything else; make its folders, and remove them afterwards.

    Raises Inconclusive.
    """
    plan, target_time = _absolute(plan), plan.target_time
    if target_time.tzinfo is None:
        raise Inconclusive(say("recovery target {target_time} has no time zone: write it with one",
            target_time=target_time.isoformat()))  # fmt: skip
    tools, account = _tools_and_account(plan)
    backup = plan.base_backup
    if not isinstance(backup, BaseBackup):
        backup = base_backup.inspect(backup, tools, plan.wal_archive)
    complete_at = backup.finished_at or backup.started_at
    if (
        target_time < complete_at and not plan.to_backup_end
    ):  # the server would silently stop at the backup's end, later than asked for
        raise Inconclusive(early_target(target_time, complete_at))
    path = branches(plan.wal_archive, backup, plan.timeline)
    until = None if plan.to_backup_end else target_time
    tablespaces.refuse_new_tablespaces(backup, unbroken_run(backup, plan.wal_archive, path), tools, until)
    destination = plan.destination
    if len(str(destination.socket_dir)) > _LONGEST_SOCKET:
        raise Inconclusive(
            say(
                "socket folder {socket_dir} is longer than {longest_socket} characters: name a shorter one",
                socket_dir=destination.socket_dir,
                longest_socket=_LONGEST_SOCKET,
            )
        )
    elsewhere = () if plan.movable else tablespaces.tablespaces_of(plan.folder)
    others = (plan.folder, plan.wal_archive, *(space.location for space in elsewhere))
    with ExitStack() as stack:
        stack.enter_context(private_folder(destination.socket_dir, account, apart_from=others))
        stack.enter_context(private_folder(destination.data_dir, account, apart_from=others))
        if elsewhere:
            stack.enter_context(private_folder(destination.tablespaces, account, apart_from=others))
        yield PreparedRestore(plan, backup, path[-1].timeline, tools, account)


def place_backup(prepared: PreparedRestore) -> None:
    """Copy or move the backup's files into the data directory; see `copy_backup` and `move_backup`."""
    plan = prepared.plan
    place = move_backup if plan.movable else copy_backup
    data_dir = plan.destination.data_dir
    place(plan.folder, data_dir, prepared.account, lambda done, total: plan.progress("copy", done, total))


def recover(prepared: PreparedRestore, server: Server) -> RecoveredPoint:
    """Wait until `server` has replayed WAL up to the target and pauses there; the point reached, verified.

    Raises NotRestorable when backup or WAL are at fault, Inconclusive when anything else is.
    """
    plan, target = prepared.plan, prepared.plan.target_time

    def replayed(row: list[str]) -> int:
        return max(0, int(row[3]) - prepared.backup.start_lsn) if row[3] else 0

    plan.progress("recover", 0, 0)
    try:
        row = server.wait_for(_STATE, "paused", within_s=plan.within_s, what=say("recovery to {target}",
            target=target.isoformat()), seen=lambda seen: plan.progress("recover", replayed(seen), 0),
            stalled_s=min(_STALLED_S, plan.within_s))  # fmt: skip
    except ServerExited as exited:
        if small := small_setting(server):
            raise Inconclusive(small) from exited
        timeline, archive = prepared.timeline, plan.wal_archive
        raise early_exit_error(
            exited,
            prepared.backup,
            archive,
            server.tools,
            target=target,
            timeline=timeline,
            lines=server.log_lines(),
        ) from exited
    if small := small_setting(server):
        raise Inconclusive(small)
    _require_archiving_off(row[2])
    last_commit_at = dt.datetime.fromisoformat(row[1]) if row[1] else None
    if last_commit_at is not None and last_commit_at > target:
        raise Inconclusive(say("recovery went to {last_commit_at}, past its target {target}",
            last_commit_at=last_commit_at.isoformat(), target=target.isoformat()))  # fmt: skip
    tablespaces.require_links_inside(plan.destination.data_dir)
    plan.progress("recover", replayed(row), replayed(row))
    return RecoveredPoint(last_commit_at, replayed(row))


def promote(server: Server) -> None:
    """Promote the paused `server`. Raises NotRestorable or Inconclusive when it ends, Inconclusive after a minute."""
    server.row("SELECT pg_promote(false)")
    try:
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=60.0, what=say("promotion of the restored server"))
    except ServerExited as exited:
        raise exit_error(exited) from exited


def _absolute(plan: RestorePlan) -> RestorePlan:
    """The plan with paths that hold in the server's working directory too."""
    given = plan.base_backup
    return replace(
        plan,
        base_backup=replace(given, path=given.path.resolve()) if isinstance(given, BaseBackup) else given.resolve(),
        wal_archive=plan.wal_archive.resolve(),
        destination=replace(plan.destination, data_dir=plan.destination.data_dir.absolute()),
    )


def _tools_and_account(plan: RestorePlan) -> tuple[Tools, Account | None]:
    scratch = plan.destination.data_dir.parent
    make_open(scratch)
    account = unprivileged(reading=plan.wal_archive)
    if account is not None and not may_enter(account, scratch):
        raise Inconclusive(
            say(
                "{scratch} is closed to {name}, as whom PostgreSQL runs: choose a scratch folder open to it",
                scratch=scratch,
                name=account.name,
            )
        )
    return for_account(find_tools(base_backup.major_of(plan.folder)), account, scratch), account


def _configured(prepared: PreparedRestore) -> ConfiguredServer:
    plan = prepared.plan
    return configure(
        plan.destination,
        plan.wal_archive,
        prepared.tools,
        prepared.account,
        target_time=None if plan.to_backup_end else plan.target_time,
        timeline=prepared.timeline,
        skip_missing_includes=plan.skip_missing_includes,
    )


def _timeline_written(server: Server) -> int:
    """The timeline on which the promoted server writes."""
    archive_mode, wal_file = server.row(_WRITTEN)
    _require_archiving_off(archive_mode)
    return int(wal_file[:8], 16)


def _require_archiving_off(archive_mode: str) -> None:
    if archive_mode != "off":
        raise Inconclusive(say("restored server: archive_mode is {archive_mode}, must be off; the restore was stopped",
            archive_mode=archive_mode))  # fmt: skip
