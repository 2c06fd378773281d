"""Backups, whatever made them, behind one interface: `source_of` gives the adapter of a target's method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from opsverify.errors import Inconclusive
from opsverify.recovery.backup.barman import BarmanSource
from opsverify.recovery.backup.basebackup import PlainSource
from opsverify.recovery.backup.pg_dump import DumpSource
from opsverify.recovery.backup.pgbackrest import PgBackRestSource
from opsverify.recovery.backup.source import (
    UNCLEAR,
    ArchivedWal,
    BackupDamaged,
    BackupSource,
    Held,
    PhysicalSource,
    Stock,
    Unpacked,
)

if TYPE_CHECKING:
    from opsverify.config.model import Recovery

__all__ = [
    "UNCLEAR",
    "ArchivedWal",
    "BackupDamaged",
    "BackupSource",
    "DumpSource",
    "Held",
    "PhysicalSource",
    "Stock",
    "Unpacked",
    "physical_source_of",
    "source_of",
]


def physical_source_of(recovery: Recovery) -> PhysicalSource:
    """Return the adapter of a kind of backup that WAL carries forward. Raises Inconclusive for pg_dump's."""
    if recovery.method == "pg_dump":
        raise Inconclusive("an archive of pg_dump brings back the moment it was begun at, and no other: no WAL follows")
    return cast("PhysicalSource", source_of(recovery))


def source_of(recovery: Recovery) -> BackupSource:
    """Return the adapter for what `recovery.method` names; nothing is contacted.

    With a recovery target the backup meant is the newest one before it.
    """
    until = recovery.recovery_target
    if recovery.pg_dump:
        config = recovery.pg_dump
        sums, roles = (Path(path) if path else None for path in (config.sha256, config.globals))
        return DumpSource(Path(config.archive), config.major, sums, until, roles)
    if recovery.pgbackrest:
        return PgBackRestSource(recovery.pgbackrest, until)
    if recovery.barman:
        return BarmanSource(recovery.barman, until)
    return PlainSource(
        recovery.method,
        Path(cast("str", recovery.base_backup)),
        Path(cast("str", recovery.wal_archive)),
        until,
    )
