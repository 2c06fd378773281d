"""Evidence gate of a step: whether a run opens it, by stage, target, time, checks and integrity."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.errors import EvidenceError
from opsverify.evidence.run_folder import VERDICT
from opsverify.evidence.signature import verify_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.incident.checklist import Gate
    from opsverify.incident.timeline import Incident

_ACCEPTED = "accept"
_ACCEPTABLE = ("pass", "not_applicable", "waived")


def evidence_for(
    gate: Gate, incident: Incident, reports: Path, named: str | None, public_key: str | None
) -> tuple[str | None, str | None]:
    """The run that opens `gate`, and why none does: exactly one of them.

    `named` is a run's id or folder; without it the newest run that opens the gate is taken. With `public_key` (PEM)
    its signature has to be valid.
    """
    if named is not None:
        folder = Path(named) if Path(named).is_dir() else reports / named
        why = fault(gate, incident, folder.resolve(), public_key)
        return (None, why) if why else (folder.resolve().name, None)
    newest_fault = None
    for folder in _newest_first(reports, gate.stage):
        why = fault(gate, incident, folder, public_key)
        if why is None:
            return folder.name, None
        newest_fault = newest_fault or why
    return None, newest_fault or f"no run of {gate.stage} on {incident.target}"


def fault(gate: Gate, incident: Incident, folder: Path, public_key: str | None = None) -> str | None:
    """Why the run in `folder` does not open `gate` for `incident`; None when it does."""
    try:
        verdict = _verdict(folder)
    except EvidenceError as error:
        return str(error)
    name = folder.name
    if (verdict.get("stage"), verdict.get("target")) != (gate.stage, incident.target):
        return f"{name} is a run of {verdict.get('stage')} on {verdict.get('target')}"
    begun = incident.of(gate.after)
    if begun is None:
        return f"step {gate.after} was not marked"
    if dt.datetime.fromisoformat(verdict["started_at"]) < begun.moment:
        return f"{name} was begun before {gate.after} ({begun.at}); rerun the stage"
    why = _unmet(gate, verdict)
    if why is None and (problems := verify_run(folder, public_key).problems):
        why = f"its evidence is not what was sealed ({problems[0]})"
    return f"{name}: {why}" if why else None


def _unmet(gate: Gate, verdict: dict[str, Any]) -> str | None:
    if not gate.lines:
        return None if verdict["decision"] == _ACCEPTED else f"its decision is {verdict['decision']}"
    for line in gate.lines:
        checks = [check for check in verdict["checks"] if line in check.get("lines", ())]
        bad = next((check for check in checks if check["outcome"] not in _ACCEPTABLE), None)
        if bad is not None:
            return f"{bad['id']} is {bad['outcome']}: {bad['message']}"
        if not any(check["outcome"] == "pass" for check in checks):
            return f"no check of {line} passed"
    return None


def _verdict(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / VERDICT).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{folder.name}: no readable verdict; name a finished run") from error


def _newest_first(reports: Path, stage: str) -> Iterator[Path]:
    # Ids begin with the time; runs in folders of their own choice (--report-dir) have to be named.
    yield from sorted(reports.glob(f"*Z-{stage}-*"), reverse=True)
