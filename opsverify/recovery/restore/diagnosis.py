"""Diagnosis of a restored server that ended early: a fault of the backup, of the target, or of this machine."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.language.message import say
from opsverify.recovery.postgres.blame import is_of_this_machine
from opsverify.recovery.wal.continuity import continuity

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup
    from opsverify.recovery.postgres.server import Server, ServerExited
    from opsverify.recovery.postgres.tools import Tools

_EARLY_END: Final = "recovery ended before configured recovery target was reached"
_BEFORE_END: Final = "requested recovery stop point is before consistent recovery point"
_CONFIGURATION: Final = "contains errors"
_TOO_SMALL: Final = "insufficient parameter settings"


def early_exit_error(
    exited: ServerExited,
    backup: BaseBackup,
    archive: Path,
    tools: Tools,
    *,
    target: dt.datetime,
    timeline: int,
    lines: Sequence[str] = (),
) -> Inconclusive:
    """Return the error for a server that ended before it reached `target` on `timeline`."""
    if _BEFORE_END in exited.reason:
        return Inconclusive(early_target(target, backup.finished_at or backup.started_at))
    if _EARLY_END not in exited.reason:
        return exit_error(exited, lines)
    reach = continuity(backup, archive, tools, target, timeline)
    if reach.problem:
        return NotRestorable(
            say(
                "recovery ended before its target {target}: {problem}", target=target.isoformat(), problem=reach.problem
            )
        )
    last = reach.last_commit_at.isoformat() if reach.last_commit_at else say("none since the backup")
    return Inconclusive(
        say(
            "recovery ended before its target {target}: no WAL is missing, the target lies after the "
            "last commit in {archive} ({last}, segment {last_2}); choose a target up to then, or "
            "wait for the archiver",
            target=target.isoformat(),
            archive=archive,
            last=last,
            last_2=reach.last,
        )
    )


def exit_error(exited: ServerExited, lines: Sequence[str] = ()) -> Inconclusive:
    """Return the error for a server that exited: the backup's fault, unless its log names what this machine lacks."""
    # The configuration's own errors come before the last line, which names only the file.
    named = next((line for line in lines if is_of_this_machine(line)), "") if _CONFIGURATION in exited.reason else ""
    if named:
        return Inconclusive(
            say(
                "{exited}: {value}; fix this machine, or restore on another",
                exited=exited,
                value=named.partition("LOG:  ")[2] or named,
            )
        )
    if is_of_this_machine(exited.reason):
        return Inconclusive(say("{exited}; fix this machine, or restore on another", exited=exited))
    return NotRestorable(str(exited))


def small_setting(server: Server) -> str | None:
    """Return which setting is smaller than the primary's, according to the server's log; None without one."""
    lines = server.log_lines()
    details = [after.partition("DETAIL:  ")[2] for line, after in pairwise(lines) if _TOO_SMALL in line]
    if not details:
        return None
    return say(
        "recovery stopped before its target: a parameter is smaller than the primary's "
        "({details}); give the primary's value in settings",
        details=details[0],
    )


def early_target(target: dt.datetime, complete_at: dt.datetime) -> str:
    """Return the message for a target before the backup was complete."""
    return say(
        "recovery target {target} lies before the end of the base backup ({complete_at}): choose "
        "a later target or an older backup",
        target=target.isoformat(),
        complete_at=complete_at.isoformat(),
    )
