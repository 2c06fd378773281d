"""Evidence gate of a step: whether a run opens it, by stage, target, time, checks and integrity."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.errors import EvidenceError
from opsverify.evidence.run_folder import VERDICT
from opsverify.evidence.signature import verify_run
from opsverify.language.message import say, unpair

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
    return None, newest_fault or say("no run of {stage} on {target}", stage=gate.stage, target=incident.target)


def fault(gate: Gate, incident: Incident, folder: Path, public_key: str | None = None) -> str | None:
    """Why the run in `folder` does not open `gate` for `incident`; None when it does."""
    try:
        verdict = _verdict(folder)
    except EvidenceError as error:
        return str(error)
    name = folder.name
    if (verdict.get("stage"), verdict.get("target")) != (gate.stage, incident.target):
        return say(
            "{name} is a run of {stage} on {target}",
            name=name,
            stage=verdict.get("stage"),
            target=verdict.get("target"),
        )
    begun = incident.of(gate.after)
    if begun is None:
        return say("step {after} was not marked", after=gate.after)
    if dt.datetime.fromisoformat(verdict["started_at"]) < begun.moment:
        return say("{name} was begun before {after} ({at}); rerun the stage", name=name, after=gate.after, at=begun.at)
    why = _unmet(gate, verdict)
    if why is None and (problems := verify_run(folder, public_key).problems):
        why = say("its evidence is not what was sealed ({problem})", problem=problems[0])
    return say("{name}: {why}", name=name, why=why) if why else None


def _unmet(gate: Gate, verdict: dict[str, Any]) -> str | None:
    if not gate.lines:
        return (
            None
            if verdict["decision"] == _ACCEPTED
            else say("its decision is {decision}", decision=verdict["decision"])
        )
    for line in gate.lines:
        checks = [check for check in verdict["checks"] if line in check.get("lines", ())]
        bad = next((check for check in checks if check["outcome"] not in _ACCEPTABLE), None)
        if bad is not None:
            return say(
                "{id} is {outcome}: {message}", id=bad["id"], outcome=bad["outcome"], message=unpair(bad, "message")
            )
        if not any(check["outcome"] == "pass" for check in checks):
            return say("no check of {line} passed", line=line)
    return None


def _verdict(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / VERDICT).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise EvidenceError(say("{name}: no readable verdict; name a finished run", name=folder.name)) from error


def _newest_first(reports: Path, stage: str) -> Iterator[Path]:
    # Ids begin with the time; runs in folders of their own choice (--report-dir) have to be named.
    yield from sorted(reports.glob(f"*Z-{stage}-*"), reverse=True)
