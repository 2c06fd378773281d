"""Restore a base backup to a point in time, on a server of its own that can touch nothing else."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.recovery.backup import base_backup as backups
from opsverify.recovery.backup import tablespaces
from opsverify.recovery.model import BaseBackup
from opsverify.recovery.postgres.server import Server, ServerDied
from opsverify.recovery.postgres.tools import find_tools, for_account, may_enter, unprivileged
from opsverify.recovery.restore.copy_backup import copy_backup, move_backup, private_folder
from opsverify.recovery.restore.diagnosis import at_fault, explained, too_early, too_small
from opsverify.recovery.restore.settings import FILES, FOREIGN, drill_settings, primarys_settings
from opsverify.recovery.wal.continuity import unbroken_run
from opsverify.recovery.wal.timelines import branches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from opsverify.recovery.postgres.tools import Account, Tools

Progress = "Callable[[str, int, int], None]"
"""Called with the stage, done and total: bytes in `copy` and `recover` (total 0 while it is unknown), else steps."""

_LONGEST_SOCKET: Final = 107 - len("/.s.PGSQL.65535")

_STATE: Final = (
    "SELECT pg_get_wal_replay_pause_state(), "
    "to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'), "
    "current_setting('archive_mode'), "
    "pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')"
)
_WRITE_PROBE: Final = "BEGIN; CREATE TABLE opsverify_write_probe (); DROP TABLE opsverify_write_probe; ROLLBACK"


@dataclass(frozen=True)
class RestoredServer:
    """A database as it was at the recovery target, promoted and accepting writes.

    `recovered_to` is the time of the last commit that came back, None when there was none between backup and
    target; `backup` is None where an archive of pg_dump was restored; `replayed` is the WAL read for it, in bytes;
    `durations` are seconds for each stage, `to_target_s` and `to_read_write_s` seconds from the start.
    """

    dsn: str
    host: str
    port: int
    backup: BaseBackup | None
    target_time: dt.datetime
    recovered_to: dt.datetime | None
    replayed: int
    timeline: int
    to_target_s: float
    to_read_write_s: float
    durations: Mapping[str, float]
    log: Path
    server: Server = field(repr=False)


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Progress for callers that show none."""


def _content(_server: Server) -> None:
    """What callers do who do not look at the paused server."""


@contextmanager
def restore(
    base_backup: Path | BaseBackup,
    wal_archive: Path,
    data_dir: Path,
    *,
    target_time: dt.datetime,
    port: int,
    socket_dir: Path,
    progress: Callable[[str, int, int], None] = _silent,
    timeline: int | None = None,
    superuser: str = "postgres",
    dbname: str = "postgres",
    settings: Mapping[str, str] | None = None,
    within_s: float = 4 * 3600.0,
    log: Path | None = None,
    at_target: Callable[[Server], None] = _content,
    ours: bool = False,
) -> Iterator[RestoredServer]:
    """Restore `base_backup` to `target_time` in `data_dir`; on leaving, stop the server and remove all of it.

    Stages: copy, recover to the target and pause there, verify the point reached, `at_target` (which may read),
    promote, probe a write (rolled back).
    `data_dir` must be absent or empty; tablespaces go into the folder `tablespaces` beside it. `settings` overrule the
    backup's configuration (smaller memory, say). `within_s` bounds recovery. A backup that is `ours` is moved, not
    copied. The server's log goes to `log`, which stays, or else into `data_dir`.
    Raises NotRestorable when backup or WAL are at fault, Inconclusive when anything else is; one line says what.
    """
    if target_time.tzinfo is None:
        raise Inconclusive(f"recovery target {target_time.isoformat()} has no time zone: write it with one")
    began = time.monotonic()
    described = base_backup if isinstance(base_backup, BaseBackup) else None
    base_backup = (described.path if described else cast("Path", base_backup)).resolve()
    wal_archive, data_dir = wal_archive.resolve(), data_dir.absolute()
    tools, account = _means(base_backup, wal_archive, data_dir.parent)
    backup = described or backups.inspect(base_backup, tools, wal_archive)
    complete_at = backup.finished_at or backup.started_at
    if target_time < complete_at:  # the server would silently stop at the backup's end, later than asked for
        raise Inconclusive(too_early(target_time, complete_at))
    way = branches(wal_archive, backup, timeline)
    tablespaces.refuse_new(backup, unbroken_run(backup, wal_archive, way), tools, target_time)
    spaces = tablespaces.tablespaces_of(base_backup)
    if len(str(socket_dir)) > _LONGEST_SOCKET:
        raise Inconclusive(
            f"socket folder {socket_dir} is longer than {_LONGEST_SOCKET} characters: name a shorter one"
        )
    with ExitStack() as stack:
        others = (base_backup, wal_archive, *(space.location for space in spaces if not ours))
        stack.enter_context(private_folder(socket_dir, account, apart_from=others))
        stack.enter_context(private_folder(data_dir, account, apart_from=others))
        if spaces and not ours:
            stack.enter_context(private_folder(data_dir.with_name(tablespaces.ROOM), account, apart_from=others))
        prepared = time.monotonic()
        bring = move_backup if ours else copy_backup
        bring(base_backup, data_dir, account, lambda done, total: progress("copy", done, total))
        copied = time.monotonic()
        for name in FOREIGN:
            (data_dir / name).unlink(missing_ok=True)
        tablespaces.keep_inside(data_dir)
        write_files(data_dir, FILES, account)
        chosen = drill_settings(
            archive=wal_archive,
            data_dir=data_dir,
            socket_dir=socket_dir,
            port=port,
            target_time=target_time,
            timeline=way[-1].timeline,
        )
        if not (data_dir / "postgresql.conf").exists():
            (data_dir / "postgresql.conf").write_text("", encoding="utf-8")
            chosen |= primarys_settings(backups.control_data(data_dir, tools))
        log = log or data_dir / "opsverify.log"
        server = stack.enter_context(
            Server(
                tools,
                data_dir,
                chosen | dict(settings or {}) | {"archive_mode": "off"},
                account=account,
                socket_dir=socket_dir,
                port=port,
                superuser=superuser,
                log=log,
            )
        )
        progress("recover", 0, 0)
        recovered_to, replayed = _recover(
            server,
            backup,
            wal_archive,
            target=target_time,
            timeline=way[-1].timeline,
            within_s=within_s,
            replaying=lambda done: progress("recover", done, 0),
        )
        tablespaces.keep_inside(data_dir)
        reached_target = time.monotonic()
        progress("recover", replayed, replayed)
        at_target(server)
        looked = time.monotonic()
        progress("read_only", 1, 1)
        _promote(server)
        promoted = time.monotonic()
        probe_write(server)
        reached = _reached(server)
        read_write = time.monotonic()
        progress("promote", 1, 1)
        yield RestoredServer(
            dsn=f"host={socket_dir} port={port} user={superuser} dbname={dbname}",
            host=str(socket_dir),
            port=port,
            backup=backup,
            target_time=target_time,
            recovered_to=recovered_to,
            replayed=replayed,
            timeline=reached,
            to_target_s=reached_target - began,
            to_read_write_s=read_write - began,
            durations={
                "prepare": prepared - began,
                "copy": copied - prepared,
                "recover": reached_target - copied,
                "read_only": looked - reached_target,
                "promote": promoted - looked,
                "write_probe": read_write - promoted,
            },
            log=log,
            server=server,
        )


def _means(base_backup: Path, archive: Path, scratch: Path) -> tuple[Tools, Account | None]:
    scratch.mkdir(parents=True, exist_ok=True)
    account = unprivileged(reading=archive)
    if account is not None and not may_enter(account, scratch):
        raise Inconclusive(
            f"{scratch} is closed to {account.name}, as whom PostgreSQL runs: choose a scratch folder open to it"
        )
    return for_account(find_tools(backups.major_of(base_backup)), account, scratch), account


def write_files(data_dir: Path, files: Mapping[str, str], account: Account | None) -> None:
    """Write `files` (name, content) into `data_dir`, private to `account`."""
    for name, content in files.items():
        path = data_dir / name
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600)
        if account is not None:
            shutil.chown(path, account.uid, account.gid)


def _recover(
    server: Server,
    backup: BaseBackup,
    archive: Path,
    *,
    target: dt.datetime,
    timeline: int,
    within_s: float,
    replaying: Callable[[int], None],
) -> tuple[dt.datetime | None, int]:
    def bytes_of(row: list[str]) -> int:
        return max(0, int(row[3]) - backup.start_lsn) if row[3] else 0

    try:
        row = server.wait_for(
            _STATE,
            "paused",
            within_s=within_s,
            what=f"recovery to {target.isoformat()}",
            seen=lambda seen: replaying(bytes_of(seen)),
        )
    except ServerDied as died:
        if small := too_small(server):
            raise Inconclusive(small) from died
        raise explained(died, backup, archive, server.tools, target=target, timeline=timeline) from died
    _, replayed, archive_mode, _ = row
    if small := too_small(server):
        raise Inconclusive(small)
    if archive_mode != "off":
        raise Inconclusive(f"the restored server says archive_mode={archive_mode}: it is not let go on")
    recovered_to = dt.datetime.fromisoformat(replayed) if replayed else None
    if recovered_to is not None and recovered_to > target:
        raise Inconclusive(f"recovery went to {recovered_to.isoformat()}, past its target {target.isoformat()}")
    return recovered_to, bytes_of(row)


def _promote(server: Server) -> None:
    server.ask("SELECT pg_promote(false)")
    try:
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=60.0, what="promotion of the restored server")
    except ServerDied as died:
        raise at_fault(died) from died


def probe_write(server: Server) -> None:
    """Write something and take it back. Raises NotRestorable when the restored server refuses."""
    probe = server.psql(_WRITE_PROBE)
    if probe.exit_code != 0:
        raise NotRestorable(f"the restored server does not accept writes: {probe.last_line}")


def _reached(server: Server) -> int:
    archive_mode, wal_file = server.ask("SELECT current_setting('archive_mode'), pg_walfile_name(pg_current_wal_lsn())")
    if archive_mode != "off":
        raise Inconclusive(f"the promoted server says archive_mode={archive_mode}: it is not let go on")
    return int(wal_file[:8], 16)
