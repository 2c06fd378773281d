"""Preflight of a restore, before anything is copied: free space, and a target that backup and archive can reach."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.language.message import say
from opsverify.recovery.backup.base_backup import control_data
from opsverify.recovery.restore.copy_backup import listing
from opsverify.recovery.restore.settings import primary_minimums

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup
    from opsverify.recovery.postgres.tools import Tools
    from opsverify.recovery.wal.continuity import Continuity

_SPARE: Final = 1.1
"""Factor for what replayed WAL and a table restored once more may add to the backup's size."""


@dataclass(frozen=True)
class Preflight:
    """Space that a drill needs and has, in bytes; `primary` the least settings that recovery needs (pg_control)."""

    size: int
    needed: int
    free: int
    primary: Mapping[str, str]


def preflight(
    backup: BaseBackup,
    wal: Continuity,
    tools: Tools,
    scratch: Path,
    target: dt.datetime | None,
    *,
    movable: bool = False,
) -> Preflight:
    """Find out whether `backup` can be restored to `target` in `scratch`; `wal` was followed up to there.

    Without a target the end of the backup is meant. A `movable` one lies in `scratch` already, and is not copied.

    Raises Inconclusive when the disk is too small or the target lies outside of the window, NotRestorable when
    it lies after a gap in the archive.
    """
    size = listing(backup.path).size
    needed = int(size * (_SPARE - 1 if movable else _SPARE))
    free = shutil.disk_usage(scratch).free
    if needed > free:
        raise Inconclusive(
            say(
                "{scratch} has {free:,} bytes free, the restore needs {needed:,}: name a larger folder "
                "in [recovery] scratch",
                scratch=scratch,
                free=free,
                needed=needed,
            )
        )
    if wal.abandoned:
        raise Inconclusive(wal.abandoned)
    if target is None:
        if wal.problem:
            raise NotRestorable(say("the end of the backup may not be reached: {problem}", problem=wal.problem))
    elif wal.reaches is False:
        if wal.problem:
            raise NotRestorable(
                say(
                    "recovery target {target} cannot be reached: {problem}",
                    target=target.isoformat(),
                    problem=wal.problem,
                )
            )
        last = wal.last_commit_at.isoformat() if wal.last_commit_at else say("none since the backup")
        raise Inconclusive(
            say(
                "recovery target {target} lies after the last archived commit ({last}), and no WAL is "
                "missing; choose a target up to then (opsverify dr target), or wait for the archiver",
                target=target.isoformat(),
                last=last,
            )
        )
    return Preflight(size, needed, free, primary_minimums(control_data(backup.path, tools)))
