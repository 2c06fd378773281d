"""Adapters of the kinds of backup: `source_of` gives the one for a target's method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.backup.barman import BarmanSource
from opsverify.recovery.backup.basebackup import PlainSource
from opsverify.recovery.backup.pg_dump import DumpSource
from opsverify.recovery.backup.pgbackrest import PgBackRestSource

if TYPE_CHECKING:
    from opsverify.config.recovery import Recovery
    from opsverify.recovery.backup.source import BackupSource, PhysicalSource


def physical_source_of(recovery: Recovery) -> PhysicalSource:
    """Return the adapter of a physical backup, which WAL carries forward. Raises Inconclusive for pg_dump's."""
    if recovery.method == "pg_dump":
        raise Inconclusive(
            say('method = "pg_dump": a dump restores the time at which it began, and no other; no WAL follows')
        )
    return cast("PhysicalSource", source_of(recovery))


def source_of(recovery: Recovery) -> BackupSource:
    """Return the adapter for what `recovery.method` names; nothing is contacted.

    With a recovery target the selected backup is the newest one before it.
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
