"""Assessment of one criterion of a canary window: what was counted, and how it lies to the limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from opsverify.canary.e_process import log_e_below, trials_to_prove, upper_bound
from opsverify.language.message import say

if TYPE_CHECKING:
    from opsverify.canary.e_process import EProcessState
    from opsverify.canary.policy import GateCriterion, Policy
    from opsverify.canary.progress import Counts, Progress


class CriterionState(StrEnum):
    """What the counts so far mean for a criterion."""

    BREACH_PROVEN = "breach proven"
    BREACH_MEASURED = "outside, not proven"
    TOO_FEW = "too few samples"
    UNOBSERVED = "not observed well enough"
    WITHIN = "within, not proven"
    BELOW_PROVEN = "within, proven"


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """One criterion at one moment; logs are natural.

    `more`: trials missing to `min_samples`, or to proof once there are enough (None: no number suffices).
    `shared`: the baseline breaches as well, and the canary is not proven worse; `waited`: it may be over soon.
    `worse`: how the canary is proven worse than the baseline, where it is.
    `recent_within`: the latest steps by themselves are within the limit.
    """

    criterion: GateCriterion
    state: CriterionState
    bad: float
    trials: float
    share: float | None
    beta: float
    dispersion: float
    unseen: Counts
    log_e_breach: float
    log_e_below: float
    more: int | None
    shared: bool
    recent_within: bool
    fault: str | None = None
    waited: bool = False
    worse: str | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def upper_bound(self) -> float:
        """The share that is proven not to be reached, what is unseen included."""
        bad, trials = self.bad + self.unseen.bad, self.trials + self.unseen.trials
        return upper_bound(bad, trials, self.beta, self.dispersion)

    @property
    def text(self) -> str:
        """One line: what was measured, on how many trials, and the limit."""
        rule = self.criterion
        if self.share is None:
            return say("{name}: no trials, limit {limit}", name=rule.name, limit=rule.limit_text)
        return say(
            "{name}: {share} of {trials:,.0f} {counted}, limit {limit}",
            name=rule.name,
            share=rule.text(self.share),
            trials=self.trials,
            counted=rule.counted,
            limit=rule.limit_text,
        )

    @property
    def short_text(self) -> str:
        """A few words for a display of one line: value, limit, samples, confidence."""
        rule = self.criterion
        if self.state is CriterionState.UNOBSERVED:
            return f"{rule.name} ?"
        value = "-" if self.share is None else rule.text(self.share)
        within = self.share is not None and rule.holds(self.share)
        confidence = max(0.0, -math.expm1(-(self.log_e_below if within else self.log_e_breach)))
        return f"{rule.name} {value} ({rule.limit_text}) n={self.trials:,.0f} {math.floor(confidence * 100)}%"

    @property
    def bound_text(self) -> str:
        """The proven bound as it is shown."""
        bound = self.criterion.text(self.upper_bound)
        return (
            say("lower bound {bound}", bound=bound)
            if self.criterion.inverse
            else say("upper bound {bound}", bound=bound)
        )


def assess(progress: Progress, policy: Policy, criteria: int) -> Assessment:
    """Assess one of `criteria` criteria: alpha is split over all of them."""
    rule, canary, baseline = progress.criterion, progress.canary, progress.baseline
    alpha = policy.alpha / criteria
    dispersion = max(canary.dispersion, baseline.dispersion)
    share, unseen = canary.share, progress.unseen
    worst = canary.bad + unseen.bad, canary.trials + unseen.trials
    below = log_e_below(*worst, rule.limit, dispersion)
    missing = max(0, math.ceil(rule.min_samples - canary.trials))
    recent_bad, recent_trials = canary.recent(policy.recent_steps)
    fault = progress.fault
    if progress.log_e_breach >= -math.log(alpha):
        state = CriterionState.UNOBSERVED if progress.distorted else CriterionState.BREACH_PROVEN
    elif progress.distorted:
        state = CriterionState.UNOBSERVED
    elif missing or share is None:
        state = CriterionState.UNOBSERVED if progress.fault else CriterionState.TOO_FEW
    elif not rule.holds(share):
        state = CriterionState.BREACH_MEASURED
        if rule.holds(canary.bad / worst[1]):
            state, fault = CriterionState.UNOBSERVED, fault or _undecided(progress, share)
    elif progress.fault:
        state = CriterionState.UNOBSERVED
    elif below >= -math.log(policy.beta):
        state = CriterionState.BELOW_PROVEN
    elif not rule.holds(worst[0] / worst[1]):
        state, fault = CriterionState.UNOBSERVED, _undecided(progress, share)
    else:
        state = CriterionState.WITHIN
    more: int | None = missing
    if state is CriterionState.WITHIN and share is not None:
        needed = trials_to_prove(share, rule.limit, policy.beta, dispersion)
        more = None if needed is None else max(1, math.ceil(needed - canary.trials))
    return Assessment(
        criterion=rule,
        state=state,
        bad=canary.bad,
        trials=canary.trials,
        share=share,
        beta=policy.beta,
        dispersion=dispersion,
        unseen=unseen,
        log_e_breach=progress.log_e_breach,
        log_e_below=below,
        more=more,
        shared=shares_breach(progress, policy, criteria),
        recent_within=recent_trials == 0 or rule.holds(recent_bad / recent_trials),
        fault=fault,
        waited=progress.waited,
        worse=None if state in (CriterionState.UNOBSERVED, CriterionState.TOO_FEW) else _worse(progress, alpha),
        notes=progress.notes,
    )


def shares_breach(progress: Progress, policy: Policy, criteria: int) -> bool:
    """Whether the baseline breaches the limit as well, and the canary is not proven worse."""
    needed = -math.log(policy.alpha / criteria)
    return _breaches(progress.baseline, progress.criterion, needed) and progress.log_e_worse < needed


def _worse(progress: Progress, alpha: float) -> str | None:
    """How the canary is proven worse than its baseline; the evidence may be read at any time."""
    canary, baseline = progress.canary.share, progress.baseline.share
    if canary is None or baseline is None or canary <= baseline or progress.log_e_worse < -math.log(alpha):
        return None
    text = progress.criterion.text(baseline)
    times = f"{canary / baseline:.3g}x " if baseline else ""
    odds = math.exp(min(progress.log_e_worse, 700.0))
    return say(
        "proven worse than the baseline ({times}{share} of {trials:,.0f}; {odds:,.3g} to 1)",
        times=times,
        share=text,
        trials=progress.baseline.trials,
        odds=odds,
    )


def _undecided(progress: Progress, share: float) -> str:
    rule, unseen = progress.criterion, progress.unseen
    return say(
        "{share} of {trials:,.0f} {counted}, limit {limit}; up to {more:,.0f} more were not seen ({where}), "
        "which could change it: observe longer (--window)",
        share=rule.text(share),
        trials=progress.canary.trials,
        counted=rule.counted,
        limit=rule.limit_text,
        more=unseen.trials,
        where=progress.most_unseen,
    )


def _breaches(baseline: EProcessState, rule: GateCriterion, needed: float) -> bool:
    if baseline.peak_log_e_breach >= needed:
        return True
    enough = baseline.share is not None and baseline.trials >= rule.min_samples
    return enough and not rule.holds(baseline.share or 0.0)
