"""What the evidence of a canary window decides: promote, roll back, hold, or go on looking.

The rule, in its order (runbook section 8; the arithmetic is in `betting`):

1. an alert fires on the canary: roll back;
2. a criterion is proven to break its limit: roll back, at any moment;
3. from the shortest window on, every promote criterion proven within its limit, the others measured within
   theirs, and none of them out of its limit lately: promote;
4. before the longest window is over: go on;
5. too little of the window observed: hold;
6. `end_rule = "proof"`: hold. `"literal"`: a criterion measured outside its limit on enough samples rolls
   back, too few samples hold, all else is promoted as *not proven*.

A criterion that is not observed well enough (`Progress.fault`) is neither proven nor measured within: it keeps
rule 3 from promoting and makes rule 6 hold. Where its counts are distorted it does not roll back either.

Error rates: alpha is split over the criteria, so a canary within all its limits is rolled back by rule 2
with probability <= alpha. Rule 3 needs every proof at once, so each may have beta whole. Rule 6 literal
controls neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from opsverify.canary.assessment import Assessment, CriterionState, Kind, Policy, Progress, stand
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
class Moment:
    """The window so far: seconds since its start, observed share (0..1) and why no more, alerts of the canary."""

    elapsed_s: float
    coverage: float
    alerts: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class GateDecision:
    """What to do and why; `proven`: by a proof at the chosen error rate, not by mere measuring."""

    outcome: GateOutcome
    reasons: tuple[str, ...]
    proven: bool
    standings: tuple[Assessment, ...]


def decide(policy: Policy, progress: Sequence[Progress], moment: Moment) -> GateDecision:
    """Apply the rule of this module at one moment; raises ValueError without criteria."""
    if not progress:
        raise ValueError("a gate without criteria decides nothing")
    standings = tuple(stand(one, policy, len(progress)) for one in progress)
    covered = moment.coverage >= policy.min_coverage
    proven = False
    if moment.alerts:
        outcome, reasons = GateOutcome.ROLLBACK, [f"alert {name} fires on the canary" for name in moment.alerts]
    elif breaches := [one for one in standings if one.state is CriterionState.BREACH_PROVEN]:
        outcome, reasons = _breach(breaches, policy)
        proven = True
    elif moment.elapsed_s >= policy.shortest_s and covered and all(map(clear, standings)):
        outcome, reasons = GateOutcome.PROMOTE, [proof(one) for one in standings]
        proven = True
    elif moment.elapsed_s < policy.longest_s:
        outcome, reasons = GateOutcome.CONTINUE, []
    elif covered:
        outcome, reasons = _at_the_end(standings, policy)
    else:
        seen, limit = quantity(moment.coverage, "ratio"), quantity(policy.min_coverage, "ratio")
        outcome, reasons = (
            GateOutcome.HOLD,
            [f"{seen} of the window was observed, limit >= {limit}", *moment.gaps],
        )
    return GateDecision(outcome, tuple(reasons), proven, standings)


def _at_the_end(standings: Sequence[Assessment], policy: Policy) -> tuple[GateOutcome, list[str]]:
    if policy.end_rule == "proof":
        return GateOutcome.HOLD, [unproven(one) for one in standings if not clear(one)]
    if breaches := [one for one in standings if one.state is CriterionState.BREACH_MEASURED]:
        return _breach(breaches, policy)
    if few := [one for one in standings if one.state in (CriterionState.TOO_FEW, CriterionState.UNOBSERVED)]:
        return GateOutcome.HOLD, [unproven(one) for one in few]
    return GateOutcome.PROMOTE, [proof(one) for one in standings]


def clear(standing: Assessment) -> bool:
    """Whether nothing more is asked of this criterion before a promotion."""
    proven = standing.state is CriterionState.BELOW_PROVEN
    need_no_proof = standing.criterion.kind is Kind.ROLLBACK_ONLY and standing.state is CriterionState.WITHIN
    return standing.calm and (proven or need_no_proof)


def _breach(breaches: Sequence[Assessment], policy: Policy) -> tuple[GateOutcome, list[str]]:
    reasons = [f"{one.text}; {SHARED_BREACH}" if one.shared else one.text for one in breaches]
    if policy.on_shared_breach == "hold" and all(one.shared for one in breaches):
        return GateOutcome.HOLD, reasons
    return GateOutcome.ROLLBACK, reasons


def proof(standing: Assessment) -> str:
    """Say how far a criterion within its limit is proven."""
    confidence = "proven" if standing.state is CriterionState.BELOW_PROVEN else "not proven"
    lately = "" if standing.calm else ", outside its limit in the latest steps"
    return f"{standing.text}; {confidence}, {standing.bound_in_words}{lately}"


def unproven(standing: Assessment) -> str:
    """Say what is missing to decide on a criterion."""
    if standing.state is CriterionState.UNOBSERVED:
        return f"{standing.criterion.name}: {standing.fault}"
    if standing.state is CriterionState.TOO_FEW:
        return f"{standing.text}; {standing.more:,} more needed of {standing.criterion.min_samples:,}"
    if standing.state is CriterionState.WITHIN and standing.more:
        return f"{proof(standing)}, about {standing.more:,} more needed at this share"
    return proof(standing)
