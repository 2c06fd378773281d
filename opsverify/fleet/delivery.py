"""Delivery: one run's folder or bundle as the merge sees it, verified, in one line; nothing else of it is kept."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.exit_codes import EXIT, ExitCode
from opsverify.core.stages import Decision, Outcome
from opsverify.errors import EvidenceError
from opsverify.evidence.bundle import ENDING, unpacked
from opsverify.evidence.manifest import MANIFEST, sums_in
from opsverify.evidence.once_read import json_in, read_json, read_once
from opsverify.evidence.origin import ORIGIN
from opsverify.evidence.run_folder import PLAN, VERDICT
from opsverify.evidence.target_state import altered_since
from opsverify.evidence.trusted_keys import verify_by
from opsverify.fleet.binding import Claim, foreign_to
from opsverify.language.message import Message, as_message, join, say
from opsverify.language.plain import plain_line
from opsverify.pytest_plugin.verdict_file import contradiction

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from opsverify.evidence.trusted_keys import TrustedKey
    from opsverify.fleet.plan import FleetPlan

_MOST_PROBLEMS: Final = 3
_LONGEST: Final = 600
"""Letters of a reason that are kept."""


class DeliveryState(StrEnum):
    """What is to be said of a unit, or of a folder that counts for none."""

    DELIVERED = "delivered"
    MISSING = "missing"
    DOUBLED = "doubled"
    ALTERED = "altered"
    UNVERIFIED = "unverified"
    FOREIGN = "foreign"
    OTHER_PLAN = "other_plan"
    NO_VERDICT = "no_verdict"


@dataclass(frozen=True)
class UnitDelivery:
    """One folder: its unit (None: of no target of the plan), and what it says or why it counts for nothing."""

    state: DeliveryState
    folder: str
    unit: int | None
    message: Message
    decision: Decision = Decision.HOLD
    run_id: str = ""
    finished_at: str = ""
    verdict_sha256: str = ""
    signed_by: str = ""
    waived: int = 0
    """Checks that needed a waiver to pass."""


class _Refusal(Exception):  # noqa: N818 - carries the reason out of the verification
    """Why a folder counts for nothing, and for which unit where that is certain."""

    def __init__(self, state: DeliveryState, why: str, unit: int | None = None) -> None:
        super().__init__(why)
        self.state, self.why, self.unit = state, why, unit


@dataclass(frozen=True)
class Verifier:
    """How deliveries are verified: the public keys, the time, and the states of targets on this machine."""

    plan: FleetPlan
    keys: Sequence[TrustedKey]
    now: dt.datetime
    reports: Path

    def deliver(self, path: Path) -> UnitDelivery:
        """Read one folder or bundle; what it holds is said, and never raised: the others have to be merged too."""
        name = plain_line(path.name)
        try:
            name = plain_line(path.resolve().name)
            with unpacked(path) if path.name.endswith(ENDING) else contextlib.nullcontext(path) as folder:
                return self._read(folder, name)
        except Exception as error:  # noqa: BLE001 - no bundle, a loop of links, no memory
            return UnitDelivery(DeliveryState.ALTERED, name, None, _line(str(error) or type(error).__name__))

    def _read(self, folder: Path, name: str) -> UnitDelivery:
        try:
            return self._verified(folder, name)
        except _Refusal as refusal:
            state, why, unit = refusal.state, refusal.why, refusal.unit
        except Exception as error:  # noqa: BLE001 - whatever its files hold
            why = say("could not be parsed ({error})", error=str(error) or type(error).__name__)
            state, unit = DeliveryState.ALTERED, None
        return UnitDelivery(state, name, _claimed(folder, self.plan) if unit is None else unit, _line(why))

    def _verified(self, folder: Path, name: str) -> UnitDelivery:
        """Raise _Refusal, or what a damaged file raises, unless the folder is a unit of the plan."""
        if not (folder / VERDICT).exists():
            raise _Refusal(DeliveryState.NO_VERDICT, say("no {verdict}: the run did not end", verdict=VERDICT))
        found = verify_by(folder, self.keys, self.now)
        if found.problems or found.verdict is None:
            raise _Refusal(DeliveryState.ALTERED, join("; ", map(str, found.problems[:_MOST_PROBLEMS])))
        verdict = json_in(found.verdict, VERDICT)
        problem = contradiction(verdict, json_in(_sealed(folder, PLAN, verdict), PLAN), verdict["run_id"])
        if problem is None and verdict["target"] in self.plan.numbers:
            problem = altered_since(self.reports, folder, found.verdict, verdict["target"])
        if problem is not None:
            raise _Refusal(DeliveryState.ALTERED, problem)
        if found.signature_present and found.signed_by is None:
            raise _Refusal(DeliveryState.UNVERIFIED, say("signed, and verified by no key; give --public-key or --keys"))
        claim = Claim.of(verdict, json_in(_sealed(folder, ORIGIN, verdict), ORIGIN))
        if other := foreign_to(self.plan, claim):
            raise _Refusal(DeliveryState(other.state), other.why, other.unit)
        decision, why = _decided(verdict)
        return UnitDelivery(
            DeliveryState.DELIVERED,
            name,
            claim.unit,
            why,
            decision,
            plain_line(str(verdict["run_id"])),
            plain_line(str(verdict["finished_at"])),
            hashlib.sha256(found.verdict).hexdigest(),
            found.signed_by or "",
            sum(check["outcome"] == Outcome.WAIVED for check in verdict["checks"]),
        )


def _claimed(folder: Path, plan: FleetPlan) -> int | None:
    """The unit that a folder says it is of, verified or not: a folder that counts for nothing needs a name."""
    with contextlib.suppress(Exception):
        target = read_json(folder / VERDICT)["target"]
        return plan.numbers.get(target)
    with contextlib.suppress(Exception):
        claim = read_json(folder / ORIGIN)["started_by"]
        if claim["plan"] == plan.sha256:
            return plan.unit(int(claim["unit"])).unit
    return None


def _sealed(folder: Path, name: str, verdict: dict[str, Any]) -> bytes:
    """A file of the folder, as the manifest of this very verdict covers it. Raises EvidenceError."""
    manifest = read_once(folder / MANIFEST)
    content = read_once(folder / name)
    if hashlib.sha256(manifest).hexdigest() != verdict["evidence"]["manifest_sha256"]:
        raise EvidenceError(say("{name}: changed while it was read", name=MANIFEST))
    if sums_in(manifest).get(name) != hashlib.sha256(content).hexdigest():
        raise EvidenceError(say("{name}: changed while it was read", name=name))
    return content


def _decided(verdict: dict[str, Any]) -> tuple[Decision, Message]:
    """The decision that the run's process ended with, and its first reason."""
    decision, code = Decision(verdict["decision"]), ExitCode(verdict["exit_code"])
    both = zip(verdict["reasons"], verdict.get("reasons_ko", verdict["reasons"]), strict=True)
    reasons = [Message.of(str(english), str(korean)) for english, korean in both]
    if code is not EXIT[decision]:
        reasons.insert(0, say("the run ended with exit code {code}", code=int(code)))
        decision = Decision.HOLD
    if not reasons:
        return decision, as_message("")
    more = len(reasons) - 1
    return decision, _line(join("", (reasons[0], say(" and {count} more", count=more))) if more else reasons[0])


def _line(text: str) -> Message:
    """One line of bounded length in each language, which keeps nothing of what it was made from."""
    message = as_message(text)
    return Message.of(_short(message.en), _short(message.ko))


def _short(text: str) -> str:
    return plain_line(text)[:_LONGEST]
