"""Decision of a canary window: promote, roll back, hold, or continue to observe.

The rule, in its order (runbook section 8; the arithmetic is in `e_process`):

1. an alert fires on the canary: roll back;
2. a criterion is proven to break its limit: roll back, at any moment;
3. from the shortest window on, every promote criterion proven within its limit, the others measured within
   theirs, and none of them outside its limit in the latest steps: promote;
4. before the longest window is over: continue;
5. too little of the window observed: hold;
6. `end_rule = "proof"`: hold. `"literal"`: a criterion measured outside its limit on enough samples rolls
   back, too few samples hold, all else is promoted as *not proven*.

A criterion that is not observed well enough (`Progress.fault`) is neither proven nor measured within: it prevents
promotion by rule 3 and holds in rule 6. Where its counts are distorted it does not roll back either.

Error rates: alpha is split over the criteria, so a canary within all its limits is rolled back by rule 2
with probability <= alpha. Rule 3 needs every proof at once, so each may have beta whole. Rule 6 literal
controls neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from opsverify.canary.assessment import Assessment, CriterionState, Kind, Policy, Progress, assess
from opsverify.units import quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARED_BREACH: Final = "the baseline breaches too: environment suspected"


class GateOutcome(StrEnum):
    """What to do now."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    HOLD = "hold"
    CONTINUE = "continue"


@dataclass(frozen=True)
class WindowState:
    """The window so far: seconds since its start, observed share (0..1) and why no more, alerts of the canary."""

    elapsed_s: float
    coverage: float
    alerts: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class GateDecision:
    """What to do and why; `proven`: at the chosen error rate, not only measured."""

    outcome: GateOutcome
    reasons: tuple[str, ...]
    proven: bool
    assessments: tuple[Assessment, ...]


def decide(policy: Policy, progress: Sequence[Progress], window: WindowState) -> GateDecision:
    """Apply the rule of this module at one step; raises ValueError without criteria."""
    if not progress:
        raise ValueError("a gate without criteria decides nothing")
    assessments = tuple(assess(one, policy, len(progress)) for one in progress)
    covered = window.coverage >= policy.min_coverage
    proven = False
    if window.alerts:
        outcome, reasons = GateOutcome.ROLLBACK, [f"alert {name} fires on the canary" for name in window.alerts]
    elif breaches := [one for one in assessments if one.state is CriterionState.BREACH_PROVEN]:
        outcome, reasons = _breach(breaches, policy)
        proven = True
    elif window.elapsed_s >= policy.shortest_s and covered and all(map(promotable, assessments)):
        outcome, reasons = GateOutcome.PROMOTE, [proof_text(one) for one in assessments]
        proven = True
    elif window.elapsed_s < policy.longest_s:
        outcome, reasons = GateOutcome.CONTINUE, []
    elif covered:
        outcome, reasons = _at_the_end(assessments, policy)
    else:
        observed, limit = quantity(window.coverage, "ratio"), quantity(policy.min_coverage, "ratio")
        outcome, reasons = (
            GateOutcome.HOLD,
            [f"{observed} of the window was observed, limit >= {limit}", *window.gaps],
        )
    return GateDecision(outcome, tuple(reasons), proven, assessments)


def _at_the_end(assessments: Sequence[Assessment], policy: Policy) -> tuple[GateOutcome, list[str]]:
    if policy.end_rule == "proof":
        return GateOutcome.HOLD, [unproven_text(one) for one in assessments if not promotable(one)]
    if breaches := [one for one in assessments if one.state is CriterionState.BREACH_MEASURED]:
        return _breach(breaches, policy)
    if few := [one for one in assessments if one.state in (CriterionState.TOO_FEW, CriterionState.UNOBSERVED)]:
        return GateOutcome.HOLD, [unproven_text(one) for one in few]
    return GateOutcome.PROMOTE, [proof_text(one) for one in assessments]


def promotable(assessment: Assessment) -> bool:
    """Whether this criterion allows a promotion."""
    proven = assessment.state is CriterionState.BELOW_PROVEN
    needs_no_proof = assessment.criterion.kind is Kind.ROLLBACK_ONLY and assessment.state is CriterionState.WITHIN
    return assessment.recent_within and (proven or needs_no_proof)


def _breach(breaches: Sequence[Assessment], policy: Policy) -> tuple[GateOutcome, list[str]]:
    reasons = [f"{one.text}; {SHARED_BREACH}" if one.shared else one.text for one in breaches]
    if policy.on_shared_breach == "hold" and all(one.shared for one in breaches):
        return GateOutcome.HOLD, reasons
    return GateOutcome.ROLLBACK, reasons


def proof_text(assessment: Assessment) -> str:
    """Text of a criterion within its limit: whether it is proven, and the bound."""
    confidence = "proven" if assessment.state is CriterionState.BELOW_PROVEN else "not proven"
    latest = "" if assessment.recent_within else ", outside its limit in the latest steps"
    return f"{assessment.text}; {confidence}, {assessment.bound_text}{latest}"


def unproven_text(assessment: Assessment) -> str:
    """Text of a criterion that is not decided: what is missing."""
    if assessment.state is CriterionState.UNOBSERVED:
        return f"{assessment.criterion.name}: {assessment.fault}"
    if assessment.state is CriterionState.TOO_FEW:
        return f"{assessment.text}; {assessment.more:,} more needed of {assessment.criterion.min_samples:,}"
    if assessment.state is CriterionState.WITHIN and assessment.more:
        return f"{proof_text(assessment)}, about {assessment.more:,} more needed at this share"
    return proof_text(assessment)
