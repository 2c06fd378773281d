"""Recoverable span: the newest point in time that backup and WAL archive reach without a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.language.message import say
from opsverify.recovery.backup.adapters import physical_source_of
from opsverify.recovery.backup.base_backup import SECOND
from opsverify.recovery.postgres.scratch import scratch_folder
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.wal.continuity import LEAST, continuity

if TYPE_CHECKING:
    import datetime as dt

    from opsverify.config.recovery import Recovery
    from opsverify.recovery.model import BaseBackup


class NotYetRecoverable(Inconclusive):
    """Backup and archive are whole, but nothing after the backup is archived yet: the next WAL segment changes that."""


def newest_recoverable(recovery: Recovery) -> dt.datetime:
    """The newest recovery target that backup and archive allow; without a commit since, the end of the backup.

    Raises NotRestorable where the first WAL segment is missing, NotYetRecoverable where none is archived yet, and
    Inconclusive where backup or archive cannot be read.
    """
    source = physical_source_of(recovery)
    with scratch_folder(recovery) as scratch, source.unpacked(scratch) as unpacked:
        backup = unpacked.backup
        wal = continuity(backup, unpacked.archive, find_tools(backup.major))
    if wal.last is None:
        error = NotRestorable if wal.gaps or wal.damaged else NotYetRecoverable
        raise error(say("{archive}: {problem}", archive=recovery.wal_archive or recovery.method, problem=wal.problem))
    earliest = end_of(backup)
    target = wal.newest_target()
    if target is None or target <= earliest:
        target = wal.newest_target(LEAST)  # committed within the margin after the end of the backup
    return target or earliest


def end_of(backup: BaseBackup) -> dt.datetime:
    """The first whole second after the end of `backup`, as far as that is known: where nothing is committed after it.

    A database without commits since is restored as it was then.
    """
    return (backup.finished_at or backup.started_at) + SECOND
