"""Runs of a period: each that the target's state says was begun in it, with its verdict or why there is none."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.stages import STAGES
from opsverify.errors import EvidenceError
from opsverify.evidence.once_read import json_in, read_once
from opsverify.evidence.run_folder import VERDICT
from opsverify.evidence.target_state import BEGUN, FINISHED, PRUNED
from opsverify.language.message import Message, as_message, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.evidence.target_state import TargetState

WELL: Final = ("accept", "promote")
RED: Final = ("fail", "inconclusive")


@dataclass(frozen=True)
class PeriodRun:
    """One run; `decision` and `verdict` are None where there is none that counts, and `problem` says why."""

    run_id: str
    stage: str
    begun: dt.datetime
    folder: Path
    decision: str | None
    verdict: Mapping[str, Any] | None
    problem: Message | None = None

    @property
    def well(self) -> bool:
        """Whether it accepted or promoted, and its evidence is what was sealed, or was pruned since."""
        return self.decision in WELL and self.problem is None

    @property
    def checks(self) -> tuple[Mapping[str, Any], ...]:
        """The checks of its verdict; none without one."""
        return tuple(self.verdict["checks"]) if self.verdict else ()

    @property
    def red(self) -> tuple[Mapping[str, Any], ...]:
        """The checks that failed or could not be measured."""
        return tuple(check for check in self.checks if check["outcome"] in RED)

    @property
    def releases(self) -> bool:
        """Whether its stage decides about a release."""
        return self.stage in STAGES and STAGES[self.stage].releases


def runs_of(state: TargetState, since: dt.datetime) -> tuple[PeriodRun, ...]:
    """The runs begun since then, in the order in which they began. Raises EvidenceError for a damaged state."""
    record = _RunRecord.of(state)
    return tuple(record.run(entry) for entry in record.begun if dt.datetime.fromisoformat(entry["at"]) >= since)


def first_begun(state: TargetState) -> dt.datetime | None:
    """When the first run of the target began, of whatever stage. Raises EvidenceError for a damaged state."""
    begun = _RunRecord.of(state).begun
    return dt.datetime.fromisoformat(begun[0]["at"]) if begun else None


def newest_runs(state: TargetState) -> dict[str, PeriodRun]:
    """The newest run of each stage. Raises EvidenceError for a damaged state."""
    record = _RunRecord.of(state)
    newest = {entry.get("stage", ""): entry for entry in record.begun}
    return {stage: record.run(entry) for stage, entry in newest.items()}


@dataclass(frozen=True)
class _RunRecord:
    """A target's chain of runs by event; a verdict is read for the runs that are asked for, and no others."""

    begun: tuple[Mapping[str, str], ...]
    ended: Mapping[str, Mapping[str, str]]
    pruned: frozenset[str]

    @classmethod
    def of(cls, state: TargetState) -> _RunRecord:
        entries = [line.content for line in state.read().lines]
        return cls(
            tuple(entry for entry in entries if entry.get("event") == BEGUN),
            {entry["run_id"]: entry for entry in entries if entry.get("event") == FINISHED},
            frozenset(entry["run_id"] for entry in entries if entry.get("event") == PRUNED),
        )

    def run(self, begun: Mapping[str, str]) -> PeriodRun:
        run_id = begun["run_id"]
        return _run(begun, self.ended.get(run_id), pruned=run_id in self.pruned)


def _run(begun: Mapping[str, str], ended: Mapping[str, str] | None, *, pruned: bool) -> PeriodRun:
    folder = Path(begun["folder"])
    problem: Message | None = None
    verdict = None
    if ended is None:
        problem = say("begun, and has no verdict (killed, or still running)")
    elif not pruned:
        try:
            verdict = _sealed(folder, ended["verdict_sha256"])
        except EvidenceError as error:
            problem = as_message(str(error))
    decision = ended.get("decision") if ended else None
    at = dt.datetime.fromisoformat(begun["at"])
    return PeriodRun(begun["run_id"], begun.get("stage", ""), at, folder, decision, verdict, problem)


def _sealed(folder: Path, sha256: str) -> dict[str, Any]:
    try:
        content = read_once(folder / VERDICT)
        verdict: dict[str, Any] = json_in(content, VERDICT)
    except (OSError, EvidenceError) as error:
        raise EvidenceError(say("its evidence is gone from {folder}; restore it", folder=folder)) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise EvidenceError(say("its verdict is not the one that was sealed"))
    return verdict
