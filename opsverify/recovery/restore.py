"""Restore a base backup to a point in time, on a server of its own that can touch nothing else."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, cast

from opsverify.errors import Inconclusive
from opsverify.recovery import backup as backups
from opsverify.recovery.copy import copy_backup, move_backup, private_folder
from opsverify.recovery.server import Server, ServerDied
from opsverify.recovery.settings import FILES, FOREIGN, drill_settings, primarys_settings
from opsverify.recovery.timelines import branches
from opsverify.recovery.tools import find_tools, for_account, may_enter, unprivileged
from opsverify.recovery.wal import continuity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from opsverify.recovery.backup import BaseBackup
    from opsverify.recovery.tools import Account, Tools

Progress = "Callable[[str, int, int], None]"
"""Called with the stage (`copy`, `recover`, `promote`), done and total: bytes in `copy`, else steps."""

_EARLY_END: Final = "recovery ended before configured recovery target was reached"
_BEFORE_END: Final = "requested recovery stop point is before consistent recovery point"
_TOO_SMALL: Final = "insufficient parameter settings"
_LONGEST_SOCKET: Final = 107 - len("/.s.PGSQL.65535")

_STATE: Final = (
    "SELECT pg_get_wal_replay_pause_state(), "
    "to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'), "
    "current_setting('archive_mode')"
)
_WRITE_PROBE: Final = "BEGIN; CREATE TABLE opsverify_write_probe (); DROP TABLE opsverify_write_probe; ROLLBACK"


@dataclass(frozen=True)
class RestoredServer:
    """A database as it was at the recovery target, promoted and accepting writes.

    `recovered_to` is the time of the last commit that came back, None when there was none between backup and
    target; `backup` is None where an archive of pg_dump was restored; `durations` are seconds for each stage,
    `to_target_s` and `to_read_write_s` seconds from the start.
    """

    dsn: str
    host: str
    port: int
    backup: BaseBackup | None
    target_time: dt.datetime
    recovered_to: dt.datetime | None
    timeline: int
    to_target_s: float
    to_read_write_s: float
    durations: Mapping[str, float]
    log: Path
    server: Server = field(repr=False)


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Progress for callers that show none."""


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
    ours: bool = False,
) -> Iterator[RestoredServer]:
    """Restore `base_backup` to `target_time` in `data_dir`; on leaving, stop the server and remove all of it.

    Stages: copy, recover to the target and pause there, verify the point reached, promote, probe a write.
    `data_dir` must be absent or empty. `settings` overrule the backup's configuration (smaller memory, say).
    `within_s` bounds recovery. A backup that is `ours` is moved, not copied. The server's log goes to `log`,
    which stays, or else into `data_dir`.
    Raises Inconclusive, with one line that says why, when any of it fails.
    """
    if target_time.tzinfo is None:
        raise Inconclusive(f"recovery target {target_time.isoformat()} has no time zone: write it with one")
    began = time.monotonic()
    described = base_backup if isinstance(base_backup, backups.BaseBackup) else None
    base_backup = (described.path if described else cast("Path", base_backup)).resolve()
    wal_archive, data_dir = wal_archive.resolve(), data_dir.absolute()
    tools, account = _means(base_backup, wal_archive, data_dir.parent)
    backup = described or backups.inspect(base_backup, tools, wal_archive)
    complete_at = backup.finished_at or backup.started_at
    if target_time < complete_at:  # the server would silently stop at the backup's end, later than asked for
        raise Inconclusive(_too_early(target_time, complete_at))
    way = branches(wal_archive, backup, timeline)
    if len(str(socket_dir)) > _LONGEST_SOCKET:
        raise Inconclusive(
            f"socket folder {socket_dir} is longer than {_LONGEST_SOCKET} characters: name a shorter one"
        )
    with ExitStack() as stack:
        stack.enter_context(private_folder(socket_dir, account, apart_from=(base_backup, wal_archive)))
        stack.enter_context(private_folder(data_dir, account, apart_from=(base_backup, wal_archive)))
        bring = move_backup if ours else copy_backup
        bring(base_backup, data_dir, account, lambda done, total: progress("copy", done, total))
        copied = time.monotonic()
        for name in FOREIGN:
            (data_dir / name).unlink(missing_ok=True)
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
        progress("recover", 0, 1)
        recovered_to = _recover(
            server, backup, wal_archive, target=target_time, timeline=way[-1].timeline, within_s=within_s
        )
        at_target = time.monotonic()
        progress("recover", 1, 1)
        reached = _promote(server)
        read_write = time.monotonic()
        progress("promote", 1, 1)
        yield RestoredServer(
            dsn=f"host={socket_dir} port={port} user={superuser} dbname={dbname}",
            host=str(socket_dir),
            port=port,
            backup=backup,
            target_time=target_time,
            recovered_to=recovered_to,
            timeline=reached,
            to_target_s=at_target - began,
            to_read_write_s=read_write - began,
            durations={
                "copy": copied - began,
                "recover": at_target - copied,
                "promote": read_write - at_target,
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
    server: Server, backup: BaseBackup, archive: Path, *, target: dt.datetime, timeline: int, within_s: float
) -> dt.datetime | None:
    try:
        _, replayed, archive_mode = server.wait_for(
            _STATE, "paused", within_s=within_s, what=f"recovery to {target.isoformat()}"
        )
    except ServerDied as died:
        raise Inconclusive(
            _too_small(server) or _explain(died, backup, archive, server.tools, target=target, timeline=timeline)
        ) from died
    if too_small := _too_small(server):
        raise Inconclusive(too_small)
    if archive_mode != "off":
        raise Inconclusive(f"the restored server says archive_mode={archive_mode}: it is not let go on")
    recovered_to = dt.datetime.fromisoformat(replayed) if replayed else None
    if recovered_to is not None and recovered_to > target:
        raise Inconclusive(f"recovery went to {recovered_to.isoformat()}, past its target {target.isoformat()}")
    return recovered_to


def _promote(server: Server) -> int:
    server.ask("SELECT pg_promote(false)")
    server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=60.0, what="promotion of the restored server")
    probe_write(server)
    archive_mode, wal_file = server.ask("SELECT current_setting('archive_mode'), pg_walfile_name(pg_current_wal_lsn())")
    if archive_mode != "off":
        raise Inconclusive(f"the promoted server says archive_mode={archive_mode}: it is not let go on")
    return int(wal_file[:8], 16)


def probe_write(server: Server) -> None:
    """Write something and take it back. Raises Inconclusive when the restored server refuses."""
    probe = server.psql(_WRITE_PROBE)
    if probe.exit_code != 0:
        raise Inconclusive(f"the restored server does not accept writes: {probe.last_line}")


def _explain(
    died: ServerDied, backup: BaseBackup, archive: Path, tools: Tools, *, target: dt.datetime, timeline: int
) -> str:
    if _BEFORE_END in died.reason:
        return _too_early(target, backup.finished_at or backup.started_at)
    if _EARLY_END not in died.reason:
        return str(died)
    reach = continuity(backup, archive, tools, target, timeline)
    if reach.problem:
        return f"recovery ended before its target {target.isoformat()}: {reach.problem}"
    last = reach.last_commit_at.isoformat() if reach.last_commit_at else "none since the backup"
    return (
        f"recovery ended before its target {target.isoformat()}: no WAL is missing, the target lies after "
        f"the last commit in {archive} ({last}, segment {reach.last}); choose a target up to then, "
        "or wait for the archiver"
    )


def _too_small(server: Server) -> str | None:
    lines = server.log_lines()
    details = [after.partition("DETAIL:  ")[2] for line, after in pairwise(lines) if _TOO_SMALL in line]
    if not details:
        return None
    return (
        f"recovery stopped before its target: a parameter is smaller than the primary's ({details[0]}); "
        "give the primary's value in settings"
    )


def _too_early(target: dt.datetime, complete_at: dt.datetime) -> str:
    return (
        f"recovery target {target.isoformat()} lies before the end of the base backup "
        f"({complete_at.isoformat()}): choose a later target or an older backup"
    )
