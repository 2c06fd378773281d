"""Conclusion of a run: its verdict as it was sealed, where exit code, plan, manifest and record all agree."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from opsverify.config.load import find_target, load_target
from opsverify.core.exit_codes import EXIT
from opsverify.core.stages import Decision
from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.finished import recorded_runs
from opsverify.evidence.once_read import read_once
from opsverify.evidence.run_folder import RUN, VERDICT
from opsverify.evidence.target_state import TargetState
from opsverify.language.message import Message, say
from opsverify.pytest_plugin.verdict_file import exit_code_in
from opsverify.serve.gate_run import Conclusion

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.serve.gate_run import RunRequest


def conclude(folder: Path, exit_code: int, request: RunRequest, root: Path) -> Conclusion:
    """What the process that ended with `exit_code` decided in `folder`; a hold wherever anything disagrees."""
    try:
        run_id = str(json.loads(read_once(folder / RUN))["run_id"])
        code = exit_code_in(folder, run_id)
        content = read_once(folder / VERDICT)
        verdict = json.loads(content)
        decision = Decision(verdict["decision"])
        both = zip(verdict["reasons"], verdict.get("reasons_ko", verdict["reasons"]), strict=True)
        reasons = tuple(Message.of(*texts) for texts in both)
        name = load_target(find_target(request.target, root / "targets"), with_secrets=False)[0].name
        problem = _problem(verdict, content, folder, TargetState.of(root / "reports", name))
    except (EvidenceError, TargetError, OSError, ValueError, KeyError, TypeError) as error:
        why = say("no verdict of this run ({error})", error=getattr(error, "strerror", None) or error)
        return Conclusion.hold(_ended(exit_code, why), exit_code)
    if problem is None and (verdict["stage"], verdict["target"]) != (request.stage, name):
        problem = say("its verdict is of {stage} on {target}", stage=verdict["stage"], target=verdict["target"])
    if problem is None and request.release and not request.release.parts.items() <= verdict["release"].items():
        problem = say("its verdict is of another release")
    if problem is None and code != exit_code:
        problem = say("its verdict has exit code {code}", code=int(code))
    if problem is not None:
        return Conclusion.hold(_ended(exit_code, problem), exit_code)
    if EXIT[decision] != exit_code:
        why = reasons[0] if reasons else say("its decision was {decision}", decision=decision)
        return Conclusion.hold(_ended(exit_code, why), exit_code)
    return Conclusion(decision, reasons, exit_code, run_id, sum_of(content))


def _problem(verdict: dict[str, object], content: bytes, folder: Path, state: TargetState) -> Message | None:
    """How the verdict differs from what the target's state recorded of the run in `folder`."""
    recorded = next((run for run in recorded_runs(state) if run.folder == folder.resolve()), None)
    if recorded is None:
        return say("{runs} holds no end of it", runs=state.runs)
    found = (verdict["run_id"], verdict["decision"], sum_of(content))
    if (recorded.run_id, recorded.decision, recorded.verdict_sha256) != found:
        return say("{runs} holds another verdict of it", runs=state.runs)
    return None


def _ended(exit_code: int, why: Message) -> Message:
    return say("opsverify verify ended with {code}: {why}; run the stage again", code=exit_code, why=why)


def sum_of(content: bytes) -> str:
    """The SHA-256 sum of a verdict."""
    return hashlib.sha256(content).hexdigest()
