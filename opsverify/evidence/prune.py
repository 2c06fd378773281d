"""Retention: which runs' folders may go, and the record of those that went in the chain of their target.

A folder stays while it is the newest of its target and stage that has a verdict, one of the newest `keep`, younger than
`older_than`, a rehearsal of this year, without a verdict, or not what was sealed. The chain keeps id, decision and sum
of every run: a bundle of a pruned one can still be proven.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.folder_lock import lock_folder
from opsverify.evidence.run_folder import VERDICT
from opsverify.evidence.signature import verify_run
from opsverify.evidence.target_state import TargetState
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REHEARSAL: Final = "rehearsal"


@dataclass(frozen=True)
class KeptRun:
    """A run's folder with a verdict."""

    folder: Path
    run_id: str
    stage: str
    target: str
    ended: dt.datetime


@dataclass(frozen=True)
class RunRetention:
    """What stays: the newest `keep` of each target and stage, what is younger than `older_than`, and what must stay."""

    keep: int
    older_than: dt.timedelta
    rehearsals: bool = False
    """Whether rehearsals of the current year may go as well."""

    def removable(self, runs: list[KeptRun], now: dt.datetime) -> list[KeptRun]:
        """The runs that may go, the oldest first."""
        families: dict[tuple[str, str], list[KeptRun]] = {}
        for run in sorted(runs, key=lambda run: (run.ended, run.run_id), reverse=True):
            families.setdefault((run.target, run.stage), []).append(run)
        found = [
            run
            for family in families.values()
            for run in family[max(1, self.keep) :]  # never the last verdict of a stage
            if now - run.ended > self.older_than
            and (self.rehearsals or run.stage != REHEARSAL or run.ended.year != now.year)
        ]
        return sorted(found, key=lambda run: (run.ended, run.run_id))


def runs_in(reports: Path) -> Iterator[KeptRun]:
    """The runs below `reports` that have a verdict; links and folders of other programs are passed over."""
    for folder in sorted(reports.iterdir()) if reports.is_dir() else ():
        if folder.is_symlink() or not folder.is_dir():
            continue
        try:
            verdict: dict[str, Any] = json.loads((folder / VERDICT).read_bytes())
            ended = dt.datetime.fromisoformat(verdict["finished_at"])
            yield KeptRun(folder, str(verdict["run_id"]), str(verdict["stage"]), str(verdict["target"]), ended)
        except (OSError, ValueError, KeyError, TypeError):
            continue


def remove(run: KeptRun, reports: Path) -> str | None:
    """Remove a run's folder once the chain says so; why it stays, or None. Raises EvidenceError for a damaged chain."""
    try:
        lock_folder(run.folder)  # it ends with the folder
    except (TargetError, OSError) as error:
        return str(error)
    found = verify_run(run.folder, None)
    if found.problems:
        return say("{problem}; altered evidence is not removed", problem=found.problems[0])
    state = TargetState.of(reports, run.target)
    if not any(line.content.get("run_id") == run.run_id for line in state.read().lines):
        return say("not in the chain of target {target}; its removal could not be proven", target=run.target)
    state.prune(run.run_id, run.stage)
    try:
        shutil.rmtree(run.folder)
    except OSError as error:
        raise EvidenceError(say("{folder}: cannot be removed ({error})", folder=run.folder, error=error)) from error
    return None
