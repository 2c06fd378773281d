"""Authorization: a verdict that may be carried out becomes an order; any other is refused in one line."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.core.exit_codes import EXIT
from opsverify.core.left_out import decides
from opsverify.core.stages import STAGES, Decision, Outcome
from opsverify.core.verdict import outcome_of
from opsverify.errors import EvidenceError, Refused
from opsverify.evidence.bound import difference
from opsverify.evidence.once_read import read_once
from opsverify.evidence.run_folder import VERDICT
from opsverify.evidence.signature import Verification, public_half, verify_run
from opsverify.evidence.target_state import TargetState, fault_of, unlike_record
from opsverify.language.message import Message, say
from opsverify.units import duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from opsverify.config.actions import ActionStep
    from opsverify.config.model import Target
    from opsverify.evidence.redact import Redactor

SCHEMA = "opsverify.verdict/1"
MINUTE = dt.timedelta(minutes=1)
CLOCK_SLACK = dt.timedelta(seconds=30)
"""How far ahead the clock of the machine that verified may be."""


@dataclass(frozen=True)
class Order:
    """The decision of one run, and the target's steps that carry it out."""

    folder: Path
    run_id: str
    stage: str
    decision: Decision
    steps: tuple[ActionStep, ...]
    finished_at: dt.datetime
    manifest_sha256: str
    signed_by: str | None
    verdict: Mapping[str, Any]
    verdict_sha256: str

    @property
    def facts(self) -> dict[str, str]:
        """The placeholders that the verdict fills."""
        return {"run_id": self.run_id, "stage": self.stage, "decision": self.decision.value}


def read_order(folder: Path, target: Target, signing_key: str | None, redactor: Redactor, now: dt.datetime) -> Order:
    """Read the verdict in `folder`; the order, if it may be carried out on `target` at `now`.

    Raises Refused, naming what is wrong and what to do, for every verdict that may not.
    """
    order = _sealed_order(folder, target, signing_key, redactor)
    _require_young(order, target, now)
    _require_newest(order, target)
    return order


def require_reached(
    folder: Path, run_id: object, target: Target, signing_key: str | None, redactor: Redactor, root: Path
) -> None:
    """Refuse a share whose own verdict, in `folder`, is not the sealed promotion that a rollout's record says."""
    order = _sealed_order(folder, target, signing_key, redactor)
    if order.decision is not Decision.PROMOTE or order.run_id != run_id:
        raise Refused(
            say(
                "{verdict}: run {run} decided {decision}, the record says {recorded}",
                verdict=folder / VERDICT,
                run=order.run_id,
                decision=order.decision,
                recorded=run_id,
            )
        )
    if changed := difference(order.verdict, target, root):
        raise Refused(say("run {run}: {problem}", run=order.run_id, problem=changed))
    try:
        state = TargetState.of(root / "reports", target.name)
        fault = unlike_record(state, order.verdict, order.verdict_sha256, folder)
    except EvidenceError as error:
        raise Refused(say("run {run}: {problem}; see docs/verdict.md", run=order.run_id, problem=error)) from error
    if fault:
        raise Refused(say("run {run}: {problem}", run=order.run_id, problem=fault))


def _sealed_order(folder: Path, target: Target, signing_key: str | None, redactor: Redactor) -> Order:
    """Read the order of a verdict that is whole, signed where it must be, and decides what its checks decide."""
    _verdict(folder, _read(folder))
    verification = _require_untouched(folder, signing_key)
    verdict = _verdict(folder, verification.verdict or b"")
    signed_by = verification.signed_by
    try:
        decision = Decision(verdict["decision"])
        order = Order(
            folder,
            verdict["run_id"],
            verdict["stage"],
            decision,
            steps_for(target, decision),
            dt.datetime.fromisoformat(verdict["finished_at"]),
            verdict["evidence"]["manifest_sha256"],
            signed_by,
            verdict,
            hashlib.sha256(verification.verdict or b"").hexdigest(),
        )
        _require_target(verdict, target)
        _require_decided(verdict, order)
        _require_same_decision(verdict, order)
        _require_same_steps(verdict["actions"], order, redactor)
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(
            say(
                "{folder}: not a verdict ({kind}: {error}); verify again",
                folder=folder / VERDICT,
                kind=type(error).__name__,
                error=error,
            )
        ) from error
    return order


def steps_for(target: Target, decision: Decision) -> tuple[ActionStep, ...]:
    """The target's steps for a decision."""
    return {Decision.PROMOTE: target.actions.promote, Decision.ROLLBACK: target.actions.rollback}.get(decision, ())


def require_current(order: Order, target: Target, root: Path, *, latest: bool = False) -> None:
    """Refuse an order whose target, suites or place among the target's runs are not those of its verdict."""
    if changed := difference(order.verdict, target, root):
        raise Refused(say("run {run_id}: {changed}; verify again", run_id=order.run_id, changed=changed))
    if target.environment == "production" and order.signed_by is None:
        raise Refused(
            say(
                "run {run_id}: not signed, and {name} is production; set evidence.signing_key in the "
                "target and verify again",
                run_id=order.run_id,
                name=target.name,
            )
        )
    try:
        state = TargetState.of(root / "reports", target.name)
        fault = fault_of(state, order.verdict, order.verdict_sha256, order.folder, latest=latest)
    except EvidenceError as error:
        raise Refused(say("run {run_id}: {error}; see docs/verdict.md", run_id=order.run_id, error=error)) from error
    if fault:
        raise Refused(say("run {run_id}: {fault}", run_id=order.run_id, fault=fault))


def _read(folder: Path) -> bytes:
    path = folder / VERDICT
    try:
        return read_once(path)
    except OSError as error:
        raise Refused(say("{path}: {strerror}; name a finished run", path=path, strerror=error.strerror)) from error
    except EvidenceError as error:
        raise Refused(say("{folder}: {error}; verify again", folder=folder, error=error)) from error


def _verdict(folder: Path, content: bytes) -> dict[str, Any]:
    path = folder / VERDICT
    try:
        verdict = json.loads(content)
    except ValueError as error:
        raise Refused(say("{path}: not JSON; verify again", path=path)) from error
    if not isinstance(verdict, dict) or verdict.get("schema") != SCHEMA:
        raise Refused(say("{path}: expected schema {schema}; verify again with this version", path=path, schema=SCHEMA))
    return verdict


def _require_untouched(folder: Path, signing_key: str | None) -> Verification:
    verification = verify_run(folder, None if signing_key is None else public_half(signing_key))
    if not verification.ok:
        more = len(verification.problems) - 1
        raise Refused(
            say(
                "{folder}: evidence incomplete or altered: {problem}{more}; verify again",
                folder=folder,
                problem=verification.problems[0],
                more=say(" (and {count} more)", count=more) if more else "",
            )
        )
    return verification


def _require_target(verdict: dict[str, Any], target: Target) -> None:
    found, expected = (verdict["target"], verdict["environment"]), (target.name, target.environment)
    if found != expected:
        raise Refused(
            say(
                "run {run_id}: target {found} ({found_env}), not {expected} ({expected_env}); give its own "
                "with --target",
                run_id=verdict["run_id"],
                found=found[0],
                found_env=found[1],
                expected=expected[0],
                expected_env=expected[1],
            )
        )


def _require_decided(verdict: dict[str, Any], order: Order) -> None:
    if order.decision is Decision.HOLD:
        both = zip(verdict["reasons"], verdict.get("reasons_ko", verdict["reasons"]), strict=False)
        reason = next((Message.of(*texts) for texts in both), say("nothing was measured"))
        raise Refused(
            say("run {run_id}: decided hold ({reason}); fix that and verify again", run_id=order.run_id, reason=reason)
        )
    if not STAGES[order.stage].releases:
        raise Refused(
            say(
                "run {run_id}: {stage} decides {decision}, which has no actions; act carries out promote "
                "and rollback only",
                run_id=order.run_id,
                stage=order.stage,
                decision=order.decision.value,
            )
        )
    if verdict["exit_code"] != EXIT[order.decision] or not verdict["planned"]:
        raise Refused(
            say(
                "run {run_id}: interrupted or incomplete (exit {exit_code}); verify again",
                run_id=order.run_id,
                exit_code=verdict["exit_code"],
            )
        )
    if not order.steps:
        raise Refused(
            say(
                "run {run_id}: decided {decision}, but the target lists no [[actions.{decision}]]; add its steps",
                run_id=order.run_id,
                decision=order.decision.value,
            )
        )


def _require_same_decision(verdict: dict[str, Any], order: Order) -> None:
    """Judge the decision again, from the verdict's own checks."""
    found = {Outcome(check["outcome"]) for check in verdict["checks"]}
    stage = STAGES[order.stage]
    scoped = (verdict.get("left_out") or {}).get("out_of_scope", ())
    by_line = ((check.get("lines", ()), check["outcome"] != Outcome.NOT_APPLICABLE) for check in verdict["checks"])
    incomplete = len(verdict["checks"]) != verdict["planned"] or not decides(stage, by_line, scoped)
    again = stage.decide(outcome_of(found, incomplete=incomplete))
    if again is not order.decision:
        raise Refused(
            say(
                "run {run_id}: its verdict says {decision}, but its checks decide {again}; verify again",
                run_id=order.run_id,
                decision=order.decision.value,
                again=again.value,
            )
        )


def _require_same_steps(shown: Iterable[dict[str, Any]], order: Order, redactor: Redactor) -> None:
    then = [entry["argv"] for entry in shown]
    if then != [redactor.data(list(step.run)) for step in order.steps]:
        raise Refused(
            say(
                "run {run_id}: the steps of its verdict differ from those of the target now; verify again",
                run_id=order.run_id,
            )
        )


def _require_young(order: Order, target: Target, now: dt.datetime) -> None:
    limit = dt.timedelta(seconds=parse_duration(target.actions.max_age))
    age = now - order.finished_at
    if age > limit:
        raise Refused(
            say(
                "run {run_id}: verdict {age} old, limit {max_age} (actions.max_age); verify again",
                run_id=order.run_id,
                age=duration(round(age / MINUTE) * 60),
                max_age=target.actions.max_age,
            )
        )
    if age < -CLOCK_SLACK:
        raise Refused(
            say(
                "run {run_id}: verdict of {at}, in the future; correct the clock",
                run_id=order.run_id,
                at=order.finished_at.isoformat(),
            )
        )


def _require_newest(order: Order, target: Target) -> None:
    """Refuse to promote by an earlier run what a later one did not promote."""
    if order.decision is not Decision.PROMOTE:
        return
    for path in order.folder.parent.glob(f"*/{VERDICT}"):
        try:
            other = json.loads(read_once(path))
            later = dt.datetime.fromisoformat(other["finished_at"]) > order.finished_at
            about = (other["target"], other["stage"]) == (target.name, order.stage)
        except (OSError, ValueError, KeyError, TypeError, EvidenceError):
            continue  # not a verdict of opsverify
        if later and about and other.get("decision") != Decision.PROMOTE:
            raise Refused(
                say(
                    "run {run_id}: later run {later} decided {decision}; act on that run",
                    run_id=order.run_id,
                    later=other.get("run_id"),
                    decision=other.get("decision"),
                )
            )
