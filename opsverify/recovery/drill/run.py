"""Run of a restore drill: the actual backup, restored apart from production on this machine, verified, thrown away."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from opsverify.errors import NotRestorable
from opsverify.recovery.backup.adapters import source_of
from opsverify.recovery.backup.base_backup import BackupDamaged
from opsverify.recovery.drill.parts import DrillParts, NotReached
from opsverify.recovery.drill.result import Drill
from opsverify.recovery.drill.steps import DrillSteps, RestoreBlocked
from opsverify.recovery.drill.timing import StageTimer
from opsverify.recovery.postgres.scratch import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from opsverify.config.recovery import Recovery
    from opsverify.recovery.backup.source import BackupSource
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.ledger import Recorded
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.validations import Validation


def run_drill(
    recovery: Recovery,
    dbname: str,
    recorded: Recorded | None,
    validations: Mapping[str, Validation],
    keep: TextIO,
    show: Callable[[str], None],
    evidence: Path,
    history: History | None = None,
    live: Callable[[], Source] | None = None,
) -> None:
    """Verify the backup, follow its WAL, restore it, read, write, query the ledger's facts; write a `Drill` to `keep`.

    All questions of `verify.questions` are put to the restored server, against `history`; `live` opens the original.
    With [recovery.platform] a platform is started on it and smoked; that run's evidence goes to the folder `evidence`.
    Raises Inconclusive where backup or archive cannot be read.
    """
    source = source_of(recovery)
    timer = StageTimer(show)
    target_time = recovery.recovery_target.isoformat() if recovery.recovery_target else None
    parts = DrillParts(dt.datetime.now(dt.UTC).isoformat(), target_time)
    with scratch_folder(recovery) as scratch:
        steps = DrillSteps(recovery, dbname, recorded, validations, timer, scratch, evidence, history, live)
        drill = _drilled(steps, source, parts)
    keep.write(replace(drill, stages=tuple(timer.stages)).dumps())


def _drilled(steps: DrillSteps, source: BackupSource, none: DrillParts) -> Drill:
    """Run the steps in order; an error ends the drill, and the parts reached before it stay."""
    parts = none
    try:
        with closing(steps.run(source, none)) as reached:
            for after_step in reached:
                parts = after_step
    except NotRestorable as error:
        ended = NotReached(str(error), "backup")
        if isinstance(error, BackupDamaged) and not parts.backup.problems:
            parts = replace(parts, backup=replace(parts.backup, problems=(str(error),)))
    except RestoreBlocked as error:
        ended = NotReached(str(error.__cause__))
    else:
        return Drill(parts)
    return Drill(parts.ended_by(ended), ended=ended)
