"""Recoverable span: the newest point in time that backup and WAL archive reach without a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.language.message import say
from opsverify.recovery.backup.adapters import physical_source_of, source_of
from opsverify.recovery.backup.base_backup import SECOND
from opsverify.recovery.postgres.scratch import scratch_folder
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.wal.continuity import LEAST, continuity, tail

if TYPE_CHECKING:
    import datetime as dt

    from opsverify.config.recovery import Recovery
    from opsverify.recovery.backup.pg_dump import DumpSource
    from opsverify.recovery.model import BaseBackup


class NotYetRecoverable(Inconclusive):
    """Backup and archive are whole, but nothing after the backup is archived yet: the next WAL segment changes that."""


def newest_recoverable(recovery: Recovery, past: dt.datetime | None = None) -> dt.datetime:
    """The newest recovery target that backup and archive allow; without a commit since, the end of the backup.

    It is a second before the last commit, or less where that would not lie past `past` or restore no commit. What was
    seen at `past` is restored only where the target lies past it: the backup's end is known to the second, and within
    that second it proves nothing.

    Of dumps it is the time at which the newest one began: what was seen until then is in it, and no WAL follows.

    Raises NotRestorable where the first WAL segment is missing, NotYetRecoverable where none is archived yet, and
    Inconclusive where backup or archive cannot be read.
    """
    if recovery.method == "pg_dump":
        return cast("DumpSource", source_of(recovery)).newest()[1]
    source = physical_source_of(recovery)
    with scratch_folder(recovery) as scratch, source.unpacked(scratch) as unpacked:
        backup = unpacked.backup
        tools = find_tools(backup.major)
        wal = continuity(backup, unpacked.archive, tools)
        target, earliest = wal.newest_target(), max(end_of(backup), past or end_of(backup))
        if target is not None and wal.unbroken and tail(backup, unpacked.archive, tools, target).recovered_to is None:
            target = None  # all commits since the backup are within the margin: some of them must be restored
    if wal.last is None:
        error = NotRestorable if wal.gaps or wal.damaged else NotYetRecoverable
        raise error(say("{archive}: {problem}", archive=recovery.wal_archive or recovery.method, problem=wal.problem))
    if target is None or target <= earliest:
        target = wal.newest_target(LEAST)  # committed within the margin after it
    if target is not None:
        return target
    ended = backup.finished_at or backup.started_at
    return min(past, end_of(backup)) if past is not None and past >= ended else end_of(backup)


def end_of(backup: BaseBackup) -> dt.datetime:
    """The first whole second after the end of `backup`, as far as that is known: where nothing is committed after it.

    A database without commits since is restored as it was then.
    """
    return (backup.finished_at or backup.started_at) + SECOND
