"""Backup, disaster and restore of the sandbox's database, with PostgreSQL's own means."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from opsverify.language.message import say
from sandbox.errors import SandboxError
from sandbox.postgres import STOP_AT_ONCE
from sandbox.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.postgres import Cluster

_RESTORE_DEADLINE_S = 120


@dataclass(frozen=True, slots=True)
class Backup:
    """One base backup; times are UTC, `start_lsn` and `timeline` from its label, size in bytes."""

    path: Path
    started_at: datetime
    finished_at: datetime
    start_lsn: str
    timeline: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Restored:
    """One restore; `recovered_to` is commit time of the last replayed transaction, if any."""

    started_at: datetime
    finished_at: datetime
    target_time: datetime | None
    recovered_to: datetime | None
    timeline: int


def backup(cluster: Cluster) -> Backup:
    """Take a base backup with manifest into `backups/base`, replacing the one before once complete."""
    started = datetime.now(UTC)
    base, fresh = cluster.backups / "base", cluster.backups / "base.new"
    shutil.rmtree(fresh, ignore_errors=True)
    cluster.value("SELECT pg_switch_wal()")
    cluster.run(
        "pg_basebackup", "-D", str(fresh), "-h", str(cluster.sockets), "-p", str(cluster.port),
        "-U", cluster.admin, "--checkpoint=fast", "--wal-method=stream", "--manifest-checksums=SHA256",
        "--label=sandbox", "--no-sync",
    )  # fmt: skip
    shutil.rmtree(base, ignore_errors=True)
    fresh.rename(base)
    label = dict(line.split(": ", 1) for line in (base / "backup_label").read_text(encoding="utf-8").splitlines())
    return Backup(
        path=base,
        started_at=started,
        finished_at=datetime.now(UTC),
        start_lsn=label["START WAL LOCATION"].split()[0],
        timeline=int(label["START TIMELINE"]),
        size_bytes=sum(path.stat().st_size for path in base.rglob("*") if path.is_file()),
    )


def destroy(cluster: Cluster) -> datetime:
    """Crash PostgreSQL and delete its data; base backup and WAL archive stay. Returns the moment (UTC)."""
    cluster.stop(STOP_AT_ONCE)
    moment = datetime.now(UTC)
    shutil.rmtree(cluster.data, ignore_errors=True)
    return moment


def restore(cluster: Cluster, target_time: datetime | str | None) -> Restored:
    """Restore the base backup and replay the WAL archive up to `target_time`, on a new timeline.

    A `target_time` without time zone is an error: which moment it means must not depend on the machine.
    """
    target = _moment(target_time)
    base = cluster.backups / "base"
    if not base.is_dir():
        raise SandboxError(say("no base backup in {folder}: run 'sandbox backup' before the disaster", folder=base))
    started = datetime.now(UTC)
    cluster.stop(STOP_AT_ONCE)
    shutil.rmtree(cluster.data, ignore_errors=True)
    cluster.own_tree(base, cluster.data)
    cluster.configure()
    cluster.write(cluster.data / "postgresql.auto.conf", "")
    settings = {
        "restore_command": f'cp {shlex.quote(str(cluster.archive))}/%f "%p"',
        "recovery_target_action": "promote",
    }
    if target is not None:
        settings["recovery_target_time"] = target.isoformat()
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    # They may stay there: without recovery.signal the server ignores them.
    with cluster.config.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    cluster.write(cluster.data / "recovery.signal", "")
    cluster.start()
    wait_until(
        lambda: cluster.value("SELECT pg_is_in_recovery()") is False, _RESTORE_DEADLINE_S,
        say("PostgreSQL to reach the recovery target"), cluster.why_ended,
    )  # fmt: skip
    recovered_to = cluster.value("SELECT pg_last_xact_replay_timestamp()")
    # Not from the control file: the first checkpoint after the promotion may still be under way.
    timeline = cluster.value("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
    return Restored(started, datetime.now(UTC), target, recovered_to, int(timeline, 16))


def _moment(text: datetime | str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else text
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SandboxError(
            say(
                "target time {given} is not usable: expected ISO 8601 with time zone, 2026-11-20T10:15:00Z",
                given=str(text),
            )
        )
    return moment
