"""Verification of a fleet's folder: verdict and plan by the signature, and the units whose evidence lies beside."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.core.exit_codes import EXIT
from opsverify.core.stages import Decision, Outcome
from opsverify.core.verdict import outcome_of
from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.dsse import public_key_of, require_signature
from opsverify.evidence.manifest import Problem
from opsverify.evidence.once_read import json_in, read_once
from opsverify.evidence.run_folder import VERDICT
from opsverify.evidence.signature import key_id, key_ids_in
from opsverify.evidence.statement import TEST_RESULT
from opsverify.evidence.target_state import altered_since
from opsverify.evidence.trusted_keys import verify_by
from opsverify.fleet.delivery import DeliveryState
from opsverify.fleet.merge import OUTCOMES
from opsverify.fleet.plan import FLEET_PLAN, FleetPlan
from opsverify.fleet.previous import FLEET_VERDICT, SCHEMA
from opsverify.fleet.seal import FLEET_SIGNATURE
from opsverify.fleet.unit import UNITS
from opsverify.language.message import as_message, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from opsverify.evidence.trusted_keys import TrustedKey

_DAMAGED = (EvidenceError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class FleetVerification:
    """What was found of a fleet's folder; `here` of `delivered` units have their evidence in it.

    `unchecked`: something is signed, and no key was given.
    """

    problems: tuple[Problem, ...]
    signed_by: str | None
    signature_present: bool
    unchecked: bool
    here: int = 0
    delivered: int = 0


@dataclass(frozen=True)
class FleetVerifier:
    """How a fleet is verified: the public keys, the time, and the states of targets on this machine."""

    keys: Sequence[TrustedKey]
    now: dt.datetime
    reports: Path

    def verify(self, folder: Path) -> FleetVerification:
        """Verify the folder. Raises EvidenceError only for a key that cannot be used."""
        read, problems = _read(folder)
        verdict, plan, signature = (read[name] for name in (FLEET_VERDICT, FLEET_PLAN, FLEET_SIGNATURE))
        signed_by = None
        if self.keys:
            signed_by, wrong = self._signed_by(folder, read)
            problems += wrong
        present = signature is not None
        if verdict is None:
            return FleetVerification(tuple(problems), signed_by, present, present and not self.keys)
        try:
            content = json_in(verdict, FLEET_VERDICT)
            problems += _contradictions(content, plan, present)
            units = [unit for unit in content["units"] if unit["state"] == DeliveryState.DELIVERED]
            here = [(unit, place) for unit in units if (place := _place_of(folder, unit)) is not None]
        except _DAMAGED as error:
            problems.append(Problem(FLEET_VERDICT, say("not the verdict of a fleet ({error})", error=repr(error))))
            return FleetVerification(tuple(problems), signed_by, present, present and not self.keys)
        unchecked = present and not self.keys
        for unit, place in here:
            wrong, is_unchecked = self._unit(place, unit)
            problems += wrong
            unchecked = unchecked or is_unchecked
        return FleetVerification(tuple(problems), signed_by, present, unchecked, len(here), len(units))

    def _signed_by(self, folder: Path, read: Mapping[str, bytes | None]) -> tuple[str | None, list[Problem]]:
        by_id = {key_id(key.pem): key for key in self.keys}
        signing = next((by_id[each] for each in key_ids_in(folder, FLEET_SIGNATURE) if each in by_id), self.keys[0])
        key = public_key_of(signing.pem)
        files = {name: read[name] for name in (FLEET_PLAN, FLEET_VERDICT)}
        try:
            require_signature(read[FLEET_SIGNATURE], files, key, TEST_RESULT)
        except EvidenceError as error:
            return None, [Problem(FLEET_SIGNATURE, str(error))]
        try:
            created = dt.datetime.fromisoformat(json_in(read[FLEET_VERDICT] or b"", FLEET_VERDICT)["created_at"])
            doubt = signing.doubt(created)
        except (EvidenceError, ValueError, LookupError, TypeError):
            doubt = say("no time of its plan")
        return str(key.keyid), [Problem(FLEET_SIGNATURE, doubt)] if doubt else []

    def _unit(self, place: Path, unit: Mapping[str, Any]) -> tuple[list[Problem], bool]:
        """What is wrong with the evidence of a unit, and whether it is signed and no key was given."""
        found = verify_by(place, self.keys if unit["signed_by"] else (), self.now)
        name = f"{UNITS}/{place.name}"
        problems = [Problem(f"{name}/{each.path}", each.what) for each in found.problems]
        if found.verdict is not None and hashlib.sha256(found.verdict).hexdigest() != unit["verdict_sha256"]:
            problems.append(Problem(f"{name}/{VERDICT}", say("not the verdict that was merged")))
        elif found.verdict is not None:
            altered = altered_since(self.reports, place, found.verdict, unit["target"])
            problems += [Problem(f"{name}/{VERDICT}", altered)] if altered else []
        return problems, bool(unit["signed_by"]) and not self.keys


def _read(folder: Path) -> tuple[dict[str, bytes | None], list[Problem]]:
    read: dict[str, bytes | None] = {}
    problems: list[Problem] = []
    for name in (FLEET_PLAN, FLEET_VERDICT, FLEET_SIGNATURE):
        read[name] = None
        try:
            read[name] = read_once(folder / name)
        except OSError as error:
            if name != FLEET_SIGNATURE:
                problems.append(Problem(name, say("cannot be read ({error})", error=error.strerror)))
        except EvidenceError as error:
            problems.append(Problem(name, as_message(str(error)).each(lambda text: text.partition(": ")[2])))
    return read, problems


def _place_of(folder: Path, unit: Mapping[str, Any]) -> Path | None:
    """Where the evidence of a unit lies: a folder with its name, else one with its verdict; None where it is not."""
    named = folder / UNITS / str(unit["target"])
    if (named / VERDICT).exists():
        return named
    for place in folder.glob(f"{UNITS}/*/"):
        try:
            if hashlib.sha256(read_once(place / VERDICT)).hexdigest() == unit["verdict_sha256"]:
                return place
        except (OSError, EvidenceError):
            continue
    return named if named.exists() else None


def _contradictions(content: Mapping[str, Any], plan: bytes | None, signature_present: bool) -> Iterator[Problem]:  # noqa: FBT001 - a fact
    """How the verdict contradicts itself, or its plan. Raises what a damaged verdict raises."""
    if content["schema"] != SCHEMA:
        yield Problem(FLEET_VERDICT, say("another schema than {schema}", schema=SCHEMA))
        return
    if content.get("evidence", {}).get("signed") and not signature_present:
        yield Problem(FLEET_SIGNATURE, say("missing: the verdict says that it is signed"))
    units = content["units"]
    if plan is not None:
        if hashlib.sha256(plan).hexdigest() != content["plan_sha256"]:
            yield Problem(FLEET_PLAN, say("not the plan that the verdict is of"))
            return
        try:
            planned = FleetPlan.loads(plan)
        except TargetError as error:
            yield Problem(FLEET_PLAN, str(error))
            return
        named = [(unit.unit, unit.target) for unit in planned.units]
        if named != [(unit["unit"], unit["target"]) for unit in units] or planned.stage.name != content["stage"]:
            yield Problem(FLEET_VERDICT, say("its units are not those of the plan"))
        doubled = any(unit["state"] == DeliveryState.DOUBLED for unit in units)
        outcomes: set[Outcome] = {OUTCOMES[Decision(unit["decision"])] for unit in units}
        outcome = outcome_of(outcomes, incomplete=bool(content["refused"]) or doubled)
        decision = planned.stage.decide(outcome)
        if (content["outcome"], content["decision"], content["exit_code"]) != (outcome, decision, EXIT[decision]):
            yield Problem(FLEET_VERDICT, say("its units come to {decision}", decision=decision))
