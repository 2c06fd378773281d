"""Why a restored server ended or stopped early, and whose fault that is: the backup's, the target's, this machine's."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.recovery.wal.continuity import continuity

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup
    from opsverify.recovery.postgres.server import Server, ServerDied
    from opsverify.recovery.postgres.tools import Tools

_EARLY_END: Final = "recovery ended before configured recovery target was reached"
_BEFORE_END: Final = "requested recovery stop point is before consistent recovery point"
_TOO_SMALL: Final = "insufficient parameter settings"
_THIS_MACHINE: Final = (
    "could not access file",  # a library that the primary preloads
    "could not create shared memory",
    "could not create any TCP/IP sockets",
    "could not bind",
    "could not map anonymous shared memory",
    "No space left on device",
    "Permission denied",
    "out of memory",
)
"""Last words of a server that could not run here, whatever the backup is worth."""


def explained(
    died: ServerDied, backup: BaseBackup, archive: Path, tools: Tools, *, target: dt.datetime, timeline: int
) -> Inconclusive:
    """Return the error for a server that ended before it reached `target` on `timeline`."""
    if _BEFORE_END in died.reason:
        return Inconclusive(too_early(target, backup.finished_at or backup.started_at))
    if _EARLY_END not in died.reason:
        return at_fault(died)
    # Headers of segments were right, or nothing would have been started: now every record is read.
    reach = continuity(backup, archive, tools, target, timeline, every_record=True)
    if reach.problem:
        return NotRestorable(f"recovery ended before its target {target.isoformat()}: {reach.problem}")
    last = reach.last_commit_at.isoformat() if reach.last_commit_at else "none since the backup"
    return Inconclusive(
        f"recovery ended before its target {target.isoformat()}: no WAL is missing, the target lies after "
        f"the last commit in {archive} ({last}, segment {reach.last}); choose a target up to then, "
        "or wait for the archiver"
    )


def at_fault(died: ServerDied) -> Inconclusive:
    """Return the error for a server that died: the backup's fault, unless it names what this machine lacks."""
    if any(words in died.reason for words in _THIS_MACHINE):
        return Inconclusive(f"{died}; mend this machine, or restore on another")
    return NotRestorable(str(died))


def too_small(server: Server) -> str | None:
    """Say which setting is smaller than the primary's, if the server's log does."""
    lines = server.log_lines()
    details = [after.partition("DETAIL:  ")[2] for line, after in pairwise(lines) if _TOO_SMALL in line]
    if not details:
        return None
    return (
        f"recovery stopped before its target: a parameter is smaller than the primary's ({details[0]}); "
        "give the primary's value in settings"
    )


def too_early(target: dt.datetime, complete_at: dt.datetime) -> str:
    """Say that a backup cannot be brought to a moment before it was complete."""
    return (
        f"recovery target {target.isoformat()} lies before the end of the base backup "
        f"({complete_at.isoformat()}): choose a later target or an older backup"
    )
