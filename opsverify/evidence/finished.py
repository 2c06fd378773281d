"""Finished runs of a target: those whose end its state recorded, with the verdicts as they were sealed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.errors import EvidenceError
from opsverify.evidence.once_read import json_in, read_once
from opsverify.evidence.target_state import BEGUN, FINISHED, PRUNED

if TYPE_CHECKING:
    from opsverify.evidence.target_state import TargetState


@dataclass(frozen=True)
class FinishedRun:
    """One run as the state recorded it: where its evidence lies, what it decided, and the sum of its verdict."""

    run_id: str
    stage: str
    folder: Path
    decision: str
    verdict_sha256: str


def recorded_runs(state: TargetState) -> tuple[FinishedRun, ...]:
    """The finished runs that were not pruned, newest first. Raises EvidenceError for a damaged state."""
    entries = [line.content for line in state.read().lines]
    folders = {entry["run_id"]: entry["folder"] for entry in entries if entry.get("event") == BEGUN}
    pruned = {entry["run_id"] for entry in entries if entry.get("event") == PRUNED}
    return tuple(
        FinishedRun(
            entry["run_id"], entry.get("stage", ""), Path(folders.get(entry["run_id"], "")), entry.get("decision", ""),
            entry["verdict_sha256"],
        )
        for entry in reversed(entries)
        if entry.get("event") == FINISHED and entry["run_id"] not in pruned
    )  # fmt: skip


def finished_runs(state: TargetState) -> tuple[dict[str, Any], ...]:
    """The verdicts of the target's finished runs as they were sealed, newest first.

    A verdict that was altered, moved or removed since does not count. Raises EvidenceError for a damaged state.
    """
    found = (_sealed(run.folder, run.verdict_sha256) for run in recorded_runs(state))
    return tuple(verdict for verdict in found if verdict is not None)


def _sealed(folder: Path, sha256: str) -> dict[str, Any] | None:
    try:
        content = read_once(folder / "verdict.json")
        verdict: dict[str, Any] = json_in(content, "verdict.json")
    except (OSError, EvidenceError):
        return None
    return verdict if hashlib.sha256(content).hexdigest() == sha256 else None
