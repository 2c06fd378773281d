"""Decision of a canary window: promote, roll back, hold, or continue to observe.

The rule, in its order (runbook section 8; the arithmetic is in `e_process`):

1. an alert that began in the window fires on the canary, or one that began before goes on beyond a grace
   (`alert_grace_s`): roll back;
2. the canary restarted more often than the limit `restarts`: roll back;
3. a criterion is proven to break its limit: roll back, at any moment. Where the baseline breaks it in the same time and
   the canary is not proven worse, that is waited for (`shared_grace_s`), left out once it is over, and else decided by
   `on_shared_breach`;
4. from the shortest window on, every promote criterion proven within its limit, the others measured within theirs or
   without enough trials, none of them outside its limit in the latest steps, no alert of before still firing: promote;
5. before the longest window is over: continue;
6. too little of the window observed: hold;
7. `end_rule = "proof"`: hold. `"literal"`: a criterion measured outside its limit on enough samples rolls
   back, too few samples hold, all else is promoted as *not proven*.

A criterion that can only roll back never keeps from promoting for lack of trials. A criterion that is not observed well
enough (`Progress.fault`), or that what was unseen could change, is neither proven nor measured within: it prevents
promotion by rule 4 and holds in rule 7. Where its counts are distorted it does not roll back either.
A canary that is proven worse than its baseline is said to be; `on_worse_than_baseline` may hold it or roll it back.

Error rates: alpha is split over the criteria, so a canary within all its limits is rolled back by rule 3
with probability <= alpha. Rule 4 needs every proof at once, so each may have beta whole. Rule 7 literal
controls neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from opsverify.canary.assessment import Assessment, CriterionState, assess
from opsverify.canary.policy import Kind, Policy
from opsverify.language.message import join, say
from opsverify.units import listed, quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.canary.progress import Progress

SHARED_BREACH: Final = say("the baseline breaches too: environment suspected")

_SHOWN_RESTARTS: Final = 5


class GateOutcome(StrEnum):
    """What to do now."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    HOLD = "hold"
    CONTINUE = "continue"


@dataclass(frozen=True)
class WindowState:
    """The window so far: seconds since its start, observed share (0..1) and why no more, alerts of the canary.

    `earlier_alerts` fire since before the window; `restarts` are those of the canary in it.
    """

    elapsed_s: float
    coverage: float
    alerts: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    earlier_alerts: tuple[str, ...] = ()
    restarts: tuple[str, ...] = ()


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
    reasons: list[str]
    if window.alerts:
        outcome, reasons = (
            GateOutcome.ROLLBACK,
            [say("alert {name} fires on the canary", name=name) for name in window.alerts],
        )
    elif policy.restarts is not None and len(window.restarts) > policy.restarts:
        outcome, reasons = GateOutcome.ROLLBACK, [restarts_text(policy, window.restarts)]
    elif breaches := [one for one in assessments if one.state is CriterionState.BREACH_PROVEN and not one.waited]:
        outcome, reasons = _breach(breaches, policy)
        proven = True
    elif (
        covered and policy.on_worse_than_baseline == "rollback" and (worse := [one for one in assessments if one.worse])
    ):
        outcome, reasons = GateOutcome.ROLLBACK, [_both(one.text, one.worse) for one in worse]
        proven = True
    elif window.elapsed_s >= policy.shortest_s and covered and _promotes(assessments, policy, window):
        outcome, reasons = GateOutcome.PROMOTE, [proof_text(one) for one in assessments]
        proven = True
    elif window.elapsed_s < policy.longest_s:
        outcome, reasons = GateOutcome.CONTINUE, []
    elif covered:
        outcome, reasons = _at_the_end(assessments, policy, window)
    else:
        observed, limit = quantity(window.coverage, "ratio"), quantity(policy.min_coverage, "ratio")
        outcome, reasons = (
            GateOutcome.HOLD,
            [
                say("{observed} of the window was observed, limit >= {limit}", observed=observed, limit=limit),
                *window.gaps,
            ],
        )
    return GateDecision(outcome, tuple(reasons), proven, assessments)


def restarts_text(policy: Policy, restarts: Sequence[str]) -> str:
    """How often the canary restarted, the limit, and where."""
    return listed(
        say(
            "the canary restarted {count} times in the window (counter reset), limit <= {limit}",
            count=len(restarts),
            limit=policy.restarts,
        ),
        restarts[-_SHOWN_RESTARTS:],
        _SHOWN_RESTARTS,
    )


def _promotes(assessments: Sequence[Assessment], policy: Policy, window: WindowState) -> bool:
    held = policy.on_worse_than_baseline == "hold" and any(one.worse for one in assessments)
    return not held and not window.earlier_alerts and all(promotable(one, policy) for one in assessments)


def _at_the_end(
    assessments: Sequence[Assessment], policy: Policy, window: WindowState
) -> tuple[GateOutcome, list[str]]:
    if policy.end_rule == "proof" and (unproven := [one for one in assessments if not promotable(one, policy)]):
        return GateOutcome.HOLD, [unproven_text(one) for one in unproven]
    outside = (CriterionState.BREACH_MEASURED, CriterionState.BREACH_PROVEN)
    if breaches := [one for one in assessments if one.state in outside]:
        return _breach(breaches, policy)
    undecided = (CriterionState.TOO_FEW, CriterionState.UNOBSERVED)
    if few := [one for one in assessments if one.state in undecided and not excused(one, policy)]:
        return GateOutcome.HOLD, [unproven_text(one) for one in few]
    if window.earlier_alerts:
        return GateOutcome.HOLD, list(window.earlier_alerts)
    if policy.on_worse_than_baseline == "hold" and (worse := [one for one in assessments if one.worse]):
        return GateOutcome.HOLD, [_both(one.text, one.worse) for one in worse]
    return GateOutcome.PROMOTE, [proof_text(one) for one in assessments]


def excused(assessment: Assessment, policy: Policy) -> bool:
    """Whether a criterion that can only roll back has too few trials to do so, and no more is needed of it."""
    few = assessment.state is CriterionState.TOO_FEW and assessment.criterion.kind is Kind.ROLLBACK_ONLY
    return few and policy.excuse_rollback_only


def promotable(assessment: Assessment, policy: Policy) -> bool:
    """Whether this criterion allows a promotion."""
    if excused(assessment, policy):
        return True
    proven = assessment.state is CriterionState.BELOW_PROVEN
    needs_no_proof = assessment.criterion.kind is Kind.ROLLBACK_ONLY and assessment.state is CriterionState.WITHIN
    return assessment.recent_within and (proven or needs_no_proof)


def _breach(breaches: Sequence[Assessment], policy: Policy) -> tuple[GateOutcome, list[str]]:
    said = [(one, SHARED_BREACH if one.shared else one.worse) for one in breaches]
    reasons = [_both(one.text, words) for one, words in said]
    if policy.on_shared_breach == "hold" and all(one.shared for one in breaches):
        return GateOutcome.HOLD, reasons
    return GateOutcome.ROLLBACK, reasons


def proof_text(assessment: Assessment) -> str:
    """Text of a criterion within its limit: whether it is proven, the bound, and what else is to be said."""
    if assessment.state is CriterionState.TOO_FEW:
        return say(
            "{measured}; too few to judge ({more:,} more needed of {needed:,}): it can only roll back",
            measured=assessment.text,
            more=assessment.more,
            needed=assessment.criterion.min_samples,
        )
    proven = assessment.state is CriterionState.BELOW_PROVEN
    shown = say(
        "{confidence}, {bound}{latest}",
        confidence=say("proven") if proven else say("not proven"),
        bound=assessment.bound_text,
        latest="" if assessment.recent_within else say(", outside its limit in the latest steps"),
    )
    return _both(assessment.text, shown, *assessment.notes, assessment.worse)


def _both(*parts: str | None) -> str:
    return join("; ", filter(None, parts))


def unproven_text(assessment: Assessment) -> str:
    """Text of a criterion that is not decided: what is missing."""
    if assessment.state is CriterionState.UNOBSERVED:
        return say("{name}: {problem}", name=assessment.criterion.name, problem=assessment.fault)
    if assessment.state is CriterionState.TOO_FEW:
        return say(
            "{measured}; {more:,} more needed of {needed:,}",
            measured=assessment.text,
            more=assessment.more,
            needed=assessment.criterion.min_samples,
        )
    if assessment.state is CriterionState.WITHIN and assessment.more:
        return say(
            "{measured}, about {more:,} more needed at this share",
            measured=proof_text(assessment),
            more=assessment.more,
        )
    return proof_text(assessment)
