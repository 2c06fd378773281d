"""Settings of a drill's server, with which it reaches its target and touches nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.recovery.wal.archive import restore_command

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

_TARGETS: Final = (
    "recovery_target",
    "recovery_target_time",
    "recovery_target_name",
    "recovery_target_xid",
    "recovery_target_lsn",
)

_PRIMARY_MINIMUMS: Final = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}


def drill_settings(
    *, archive: Path, data_dir: Path, socket_dir: Path, port: int, target_time: dt.datetime | None, timeline: int
) -> dict[str, str]:
    """Recovery from `archive` to `target_time` on `timeline`, pausing there, cut off from everything else.

    Without `target_time` to the end of the backup.
    Raises Inconclusive as `restore_command`.
    """
    return {
        **private_settings(data_dir=data_dir, socket_dir=socket_dir, port=port),
        "hot_standby": "on",
        "restore_command": restore_command(archive),
        **_target(target_time),
        "recovery_target_inclusive": "on",
        "recovery_target_timeline": str(timeline),
        "recovery_target_action": "pause",
    }


def _target(target_time: dt.datetime | None) -> dict[str, str]:
    """The one target, set last: PostgreSQL refuses to clear another one after it."""
    name, value = "recovery_target", "immediate"
    if target_time is not None:
        name, value = "recovery_target_time", target_time.isoformat(sep=" ", timespec="microseconds")
    return {other: "" for other in _TARGETS if other != name} | {name: value}


def private_settings(*, data_dir: Path, socket_dir: Path, port: int) -> dict[str, str]:
    """A server on `data_dir` that only this drill can reach."""
    return {
        "data_directory": str(data_dir),
        "hba_file": str(data_dir / HBA_NAME),
        "ident_file": str(data_dir / IDENT_NAME),
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(socket_dir),
        "unix_socket_permissions": "0700",
    }


HBA_NAME: Final = "opsverify_hba.conf"
IDENT_NAME: Final = "opsverify_ident.conf"

ACCESS: Final = {
    # The socket folder is open to the server's account and root alone; over TCP a password is required.
    HBA_NAME: "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    IDENT_NAME: "",
}
"""Access to a drill's server."""

FILES: Final = {**ACCESS, "recovery.signal": ""}
"""Files written into the copy of the backup."""

FOREIGN: Final = ("standby.signal", "postmaster.pid", "postmaster.opts", "tablespace_map")
"""Files that a backup may hold and a drill must not have."""


def primary_minimums(control: Mapping[str, str]) -> dict[str, str]:
    """Return the least sizes for recovery, from pg_control: for a backup without its postgresql.conf."""
    return {name: control[line] for name, line in _PRIMARY_MINIMUMS.items()}
