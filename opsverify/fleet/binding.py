"""Binding of a run to a fleet's plan: what its sealed evidence says it is of, and where that is not this plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from opsverify.config.digest import one_digest, portable_digest
from opsverify.language.message import Message, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.fleet.plan import FleetPlan


class Misplaced(NamedTuple):
    """Why a run is no unit of the plan, and which unit it takes the place of."""

    state: Literal["foreign", "other_plan"]
    why: Message
    unit: int | None


@dataclass(frozen=True)
class Claim:
    """What the sealed evidence of a run says of itself; `plan` and `unit` are None outside of a fleet."""

    target: str
    stage: str
    plan: str | None
    unit: int | None
    opsverify: str
    runbook: str
    suites: str
    digest: str

    @classmethod
    def of(cls, verdict: Mapping[str, Any], origin: Mapping[str, Any]) -> Self:
        """Read verdict and origin. Raises KeyError, TypeError or ValueError for what is none."""
        by, bound, keys = origin["started_by"], verdict["bound"], verdict["target_keys"]
        if one_digest(keys) != bound["target"]:
            raise ValueError("target_keys are not those of bound.target")
        fleet = by["pipeline"] == "OPSVERIFY_FLEET"
        return cls(
            verdict["target"],
            verdict["stage"],
            by["plan"] if fleet else None,
            int(by["unit"]) if fleet else None,
            origin["versions"]["opsverify"],
            bound["runbook"],
            bound["suites"],
            portable_digest(keys),
        )


def foreign_to(plan: FleetPlan, claim: Claim) -> Misplaced | None:
    """How a run is not the unit of `plan` that it claims to be; None where it is."""
    number = plan.numbers.get(claim.target)
    if number is None:
        return Misplaced("foreign", say("target {name!r} is not in the plan", name=claim.target), None)
    if why := _other_plan(plan, claim):
        return Misplaced("other_plan", why, number)
    if claim.unit != number:
        why = say("its unit {number} is not this target's in the plan", number=claim.unit)
        return Misplaced("foreign", why, number)
    if claim.digest != plan.units[number].digest:
        return Misplaced("other_plan", say("the target was changed after the plan was made"), number)
    return None


def _other_plan(plan: FleetPlan, claim: Claim) -> Message | None:
    if claim.plan is None:
        return say("run by itself, not as a unit of a fleet")
    if claim.plan != plan.sha256:
        return say("of another plan ({found}...)", found=claim.plan[:12])
    if claim.stage != plan.stage.name:
        return say("of stage {found}, the plan is of {expected}", found=claim.stage, expected=plan.stage.name)
    if claim.opsverify != plan.opsverify:
        return say("by opsverify {found}, the plan is of {expected}", found=claim.opsverify, expected=plan.opsverify)
    for name in ("runbook", "suites"):
        if getattr(claim, name) != getattr(plan, name):
            return say("with another {name} than the plan's", name=name)
    return None
