"""Retention: which runs' folders may go, and the record of those that went in the chain of their target.

Only a folder that the state of its target recorded, with this very verdict, is a run: a copy, or a folder of another
project, neither goes nor keeps another from being the newest. A folder stays while it is the newest of its target and
stage that has a verdict, one of the newest `keep`, younger than `older_than`, a rehearsal of this year, without a
verdict, or not what was sealed. The chain keeps id, decision and sum of every run: a bundle of a pruned one can still
be proven.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.folder_lock import lock_folder
from opsverify.evidence.once_read import json_in, read_once
from opsverify.evidence.run_folder import VERDICT
from opsverify.evidence.signature import verify_run
from opsverify.evidence.target_state import BEGUN, FINISHED, PRUNED, TargetState
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator

REHEARSAL: Final = "rehearsal"
_GOING: Final = ".pruning"
"""Below the reports: folders that are being removed."""


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
    """The runs below `reports` as their targets' states recorded them; everything else is passed over.

    Raises EvidenceError for a damaged state.
    """
    recorded: dict[str, dict[Path, str]] = {}
    for folder in sorted(reports.iterdir()) if reports.is_dir() else ():
        if folder.is_symlink() or not folder.is_dir():
            continue
        try:
            content = read_once(folder / VERDICT)
            verdict: dict[str, Any] = json_in(content, VERDICT)
            run_id, stage, target = (str(verdict[name]) for name in ("run_id", "stage", "target"))
            run = KeptRun(folder, run_id, stage, target, dt.datetime.fromisoformat(verdict["finished_at"]))
        except (OSError, EvidenceError, ValueError, LookupError, TypeError):
            continue
        if target in ("", ".", "..") or "/" in target or "\0" in target:
            continue
        if target not in recorded:
            recorded[target] = _sums(TargetState.of(reports, target))
        if recorded[target].get(folder.resolve()) == hashlib.sha256(content).hexdigest():
            yield run


def _sums(state: TargetState) -> dict[Path, str]:
    """The sum of the verdict in each folder where a run of the target ended, pruned ones included."""
    entries = [line.content for line in state.read().lines]
    folders = {entry["run_id"]: Path(entry["folder"]) for entry in entries if entry.get("event") == BEGUN}
    ended = [entry for entry in entries if entry.get("event") == FINISHED and entry["run_id"] in folders]
    return {folders[entry["run_id"]]: entry["verdict_sha256"] for entry in ended}


def finish_removals(reports: Path) -> None:
    """Remove what an earlier prune, killed in the middle, had begun to remove. Raises EvidenceError."""
    if (reports / _GOING).exists():
        _delete(reports / _GOING)


def remove(run: KeptRun, reports: Path) -> str | None:
    """Remove a run's folder once the chain says so; why it stays, or None. Raises EvidenceError for a damaged chain."""
    try:
        lock_folder(run.folder)  # it ends with the folder
    except (TargetError, OSError) as error:
        return str(error)
    state = TargetState.of(reports, run.target)
    events = [line.content.get("event") for line in state.read().lines if line.content.get("run_id") == run.run_id]
    if not events:
        return say("not in the chain of target {target}; its removal could not be proven", target=run.target)
    if PRUNED not in events:  # else it was whole when an earlier prune began, and may be half of it now
        if found := verify_run(run.folder, None).problems:
            return say("{problem}; altered evidence is not removed", problem=found[0])
        state.prune(run.run_id, run.stage)
    going = reports / _GOING
    try:
        # In one step out of sight: killed in the middle, half a run would be altered evidence at every later prune.
        going.mkdir(mode=0o700, exist_ok=True)
        run.folder.rename(going / f"{run.folder.name}.{secrets.token_hex(4)}")
    except OSError as error:
        raise EvidenceError(say("{folder}: cannot be removed ({error})", folder=run.folder, error=error)) from error
    _delete(going)
    return None


def _delete(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass  # a second prune at the same time was faster
    except (OSError, RecursionError) as error:
        raise EvidenceError(say("{folder}: cannot be removed ({error})", folder=folder, error=error)) from error
