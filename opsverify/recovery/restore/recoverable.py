"""Recoverable span: the newest point in time that backup and WAL archive reach without a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.recovery.backup.adapters import physical_source_of
from opsverify.recovery.postgres.scratch import scratch_folder
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.wal.continuity import continuity

if TYPE_CHECKING:
    import datetime as dt

    from opsverify.config.model import Recovery


class NotYetRecoverable(Inconclusive):
    """Backup and archive are whole, but nothing after the backup is archived yet: the next WAL segment mends that."""


def newest_recoverable(recovery: Recovery) -> dt.datetime:
    """The newest recovery target that backup and archive allow; raises Inconclusive as `newest_target`."""
    source = physical_source_of(recovery)
    with scratch_folder(recovery) as scratch, source.unpacked(scratch) as unpacked:
        backup = unpacked.backup
        wal = continuity(backup, unpacked.archive, find_tools(backup.major))
    earliest = backup.finished_at or backup.started_at
    if wal.newest_target is None or wal.newest_target <= earliest:
        raise NotYetRecoverable(
            f"{recovery.wal_archive or recovery.method}: no archived commit after the end of the backup "
            f"({earliest.isoformat()}); "
            "wait for the next WAL segment"
        )
    return wal.newest_target
