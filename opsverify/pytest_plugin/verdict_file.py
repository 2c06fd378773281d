"""Verdict file as the command line reads it back: only a complete one of exactly this run gives an exit code."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.exit_codes import DECIDED, EXIT, ExitCode
from opsverify.core.stages import STAGES, Decision, Outcome
from opsverify.errors import EvidenceError
from opsverify.evidence.manifest import MANIFEST
from opsverify.evidence.once_read import json_in, read_once
from opsverify.evidence.run_folder import PLAN, VERDICT
from opsverify.evidence.signature import SIGNATURE, ReadVerdict, verify_run
from opsverify.language.message import say

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA: Final = "opsverify.verdict/1"
_SETTLED: Final = frozenset({Outcome.PASS, Outcome.NOT_APPLICABLE, Outcome.WAIVED})


def exit_code_in(folder: Path, run_id: str) -> ExitCode:
    """The exit code of the verdict in `folder`. Raises EvidenceError unless it is whole and of the run `run_id`."""
    content = _read(folder / VERDICT)
    try:
        verdict, plan = json_in(content, VERDICT), json_in(_read(folder / PLAN), PLAN)
        problem = contradiction(verdict, plan, run_id)
        code = ExitCode(verdict["exit_code"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            say("{verdict}: not a verdict ({kind}: {error})", verdict=VERDICT, kind=type(error).__name__, error=error)
        ) from error
    if problem:
        raise EvidenceError(say("{verdict}: {problem}", verdict=VERDICT, problem=problem))
    if problems := verify_run(folder, None, ReadVerdict(content, verdict)).problems:
        raise EvidenceError(str(problems[0]))
    if verdict["evidence"].get("signed"):
        _require_signed(folder, content)
    return code


def contradiction(verdict: dict[str, Any], plan: dict[str, Any], run_id: str) -> str | None:  # noqa: PLR0911 - one each
    """Where the verdict is not this run's, not over its whole plan, or not what its checks come to."""
    stage, outcome, decision = STAGES[verdict["stage"]], Outcome(verdict["outcome"]), Decision(verdict["decision"])
    outcomes = {Outcome(check["outcome"]) for check in verdict["checks"]}
    ids = [check["id"] for check in verdict["checks"]]
    if verdict["schema"] != SCHEMA:
        return say("schema {schema}, expected {expected}", schema=verdict["schema"], expected=SCHEMA)
    if verdict["run_id"] != run_id or plan["run_id"] != run_id:
        return say("of run {run_id}, expected {expected}", run_id=verdict["run_id"], expected=run_id)
    if ids != [check["id"] for check in plan["checks"]] or verdict["planned"] != len(ids):
        return say(
            "{count} checks, {planned} planned; the plan has {in_plan}",
            count=len(ids),
            planned=verdict["planned"],
            in_plan=len(plan["checks"]),
        )
    if outcome is Outcome.PASS and not (outcomes <= _SETTLED and Outcome.PASS in outcomes):
        return say("pass, which its checks contradict")
    if (outcome is Outcome.FAIL) != (Outcome.FAIL in outcomes):
        return say("{outcome}, which its checks contradict", outcome=outcome.value)
    if decision is not stage.decide(outcome):
        return say("{decision} on {outcome}", decision=decision.value, outcome=outcome.value)
    code = ExitCode(verdict["exit_code"])
    if code in DECIDED and code is not EXIT[decision]:
        return say("exit code {code} on {decision}", code=code, decision=decision.value)
    return None


def _read(path: Path) -> bytes:
    """The content of a regular file. Raises EvidenceError for anything else."""
    try:
        return read_once(path)
    except OSError as error:
        raise EvidenceError(say("{name}: {strerror}", name=path.name, strerror=error.strerror)) from error


def _require_signed(folder: Path, verdict: bytes) -> None:
    """Raise EvidenceError unless the signature names the sums of these very files; keys are the business of `act`."""
    try:
        statement = json_in(base64.b64decode(json_in(_read(folder / SIGNATURE), SIGNATURE)["payload"]), SIGNATURE)
        signed = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    except (EvidenceError, ValueError, KeyError, TypeError) as error:
        raise EvidenceError(say("{signature}: not a signature", signature=SIGNATURE)) from error
    sums = {MANIFEST: _read(folder / MANIFEST), VERDICT: verdict}
    for name, content in sums.items():
        if signed.get(name) != hashlib.sha256(content).hexdigest():
            raise EvidenceError(say("{signature}: of another {name}", signature=SIGNATURE, name=name))
