"""Assessment of one criterion of a canary window: what was counted, and how it lies to the limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from opsverify.canary.e_process import EProcess, EProcessState, StartWeights, trials_to_prove
from opsverify.units import quantity

START_GROUPS: Final = 20
"""Steps at which a regression may begin, as far as the weights go: one a minute in a window of 20 minutes."""


class Kind(StrEnum):
    """Whether a criterion must be proven before an early promotion, or can only roll back."""

    PROMOTE = "promote"
    ROLLBACK_ONLY = "rollback_only"


@dataclass(frozen=True, kw_only=True)
class GateCriterion:
    """A limit (share of trials, 0..1) on what counts as bad; `strict`: the limit itself is already outside.

    `counted` completes "2.31% of 4,120 ..." and is in the language of the report. `inverse`: the share that is
    shown, and its limit, are of what is *not* bad (a hit rate); everything else here is still about the bad ones.
    """

    name: str
    limit: float
    min_samples: int
    kind: Kind = Kind.PROMOTE
    strict: bool = True
    counted: str = "were bad"
    inverse: bool = False

    def text(self, share: float) -> str:
        """A share of bad ones as it is shown."""
        return quantity(1 - share if self.inverse else share, "ratio")

    @property
    def limit_text(self) -> str:
        """The limit as it is shown."""
        orderly, strictly = (">=", ">") if self.inverse else ("<=", "<")
        return f"{strictly if self.strict else orderly} {self.text(self.limit)}"

    def holds(self, share: float) -> bool:
        """Whether a measured share is within the limit."""
        return share < self.limit if self.strict else share <= self.limit


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Windows and steps in seconds, error rates, and what to do where the runbook leaves a choice."""

    shortest_s: float = 600.0
    longest_s: float = 1200.0
    step_s: float = 15.0
    alpha: float = 0.05
    beta: float = 0.05
    min_coverage: float = 0.9
    end_rule: Literal["literal", "proof"] = "literal"
    on_shared_breach: Literal["rollback", "hold"] = "rollback"

    def __post_init__(self) -> None:
        if not 0 < self.step_s <= self.shortest_s <= self.longest_s:
            given = f"{self.step_s}, {self.shortest_s}, {self.longest_s}"
            raise ValueError(f"expected 0 < step <= shortest <= longest, not {given}")
        if not (0 < self.alpha < 1 and 0 < self.beta < 1):
            raise ValueError(f"expected alpha and beta in (0, 1), not {self.alpha} and {self.beta}")

    @property
    def starts(self) -> StartWeights:
        """The weights of the e-process over the longest window."""
        steps = max(1, round(self.longest_s / self.step_s))
        return StartWeights(steps, max(1, round(steps / START_GROUPS)))

    @property
    def recent_steps(self) -> int:
        """A quarter of the shortest window: a canary outside its limit in the latest steps is not promoted."""
        return max(1, round(self.shortest_s / self.step_s / 4))


@dataclass(frozen=True)
class Counts:
    """Bad ones out of trials in one step."""

    bad: float
    trials: float


NOTHING: Final = Counts(0, 0)


class Progress:
    """Counts and evidence of one criterion, canary and baseline; advanced step by step.

    `fault` is why it cannot be decided, if so; `distorted` means that its counts are not valid either.
    """

    def __init__(self, criterion: GateCriterion, policy: Policy) -> None:
        self.criterion = criterion
        self.fault: str | None = None
        self.distorted = False
        self.canary = EProcessState(criterion.limit, policy.starts)
        self.baseline = EProcessState(criterion.limit, policy.starts)
        self._worse = EProcess(policy.starts)

    def advance(self, canary: Counts, baseline: Counts = NOTHING) -> None:
        """Add one step; without a baseline nothing is compared."""
        self.canary.advance(canary.bad, canary.trials)
        self.baseline.advance(baseline.bad, baseline.trials)
        bad = canary.bad + baseline.bad
        if bad and canary.trials and baseline.trials:
            # At equal rates the canary's share of a step's bad ones is its share of the trials.
            self._worse.advance(canary.bad / bad, canary.trials / (canary.trials + baseline.trials))
        else:
            self._worse.skip()

    @property
    def log_e_worse(self) -> float:
        """The most evidence so far that the canary is worse than the baseline."""
        return self._worse.peak


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
    `shared`: the baseline breaches as well, and the canary is not proven worse.
    `recent_within`: the latest steps by themselves are within the limit.
    """

    criterion: GateCriterion
    state: CriterionState
    bad: float
    trials: float
    share: float | None
    upper_bound: float
    log_e_breach: float
    log_e_below: float
    more: int | None
    shared: bool
    recent_within: bool
    fault: str | None = None

    @property
    def text(self) -> str:
        """One line: what was measured, on how many trials, and the limit."""
        rule = self.criterion
        limit = f"limit {rule.limit_text}"
        if self.share is None:
            return f"{rule.name}: no trials, {limit}"
        return f"{rule.name}: {rule.text(self.share)} of {self.trials:,.0f} {rule.counted}, {limit}"

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
        side = "lower" if self.criterion.inverse else "upper"
        return f"{side} bound {self.criterion.text(self.upper_bound)}"


def assess(progress: Progress, policy: Policy, criteria: int) -> Assessment:
    """Assess one of `criteria` criteria: alpha is split over all of them."""
    rule, canary, baseline = progress.criterion, progress.canary, progress.baseline
    alpha = policy.alpha / criteria
    dispersion = max(canary.dispersion, baseline.dispersion)
    share = canary.share
    below = canary.log_e_below(dispersion)
    missing = max(0, math.ceil(rule.min_samples - canary.trials))
    recent_bad, recent_trials = canary.recent(policy.recent_steps)
    if canary.peak_log_e_breach >= -math.log(alpha):
        state = CriterionState.UNOBSERVED if progress.distorted else CriterionState.BREACH_PROVEN
    elif progress.distorted:
        state = CriterionState.UNOBSERVED
    elif missing or share is None:
        state = CriterionState.UNOBSERVED if progress.fault else CriterionState.TOO_FEW
    elif not rule.holds(share):
        state = CriterionState.BREACH_MEASURED
    elif progress.fault:
        state = CriterionState.UNOBSERVED
    elif below >= -math.log(policy.beta):
        state = CriterionState.BELOW_PROVEN
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
        upper_bound=canary.upper_bound(policy.beta, dispersion),
        log_e_breach=canary.peak_log_e_breach,
        log_e_below=below,
        more=more,
        shared=_breaches(baseline, rule, alpha) and progress.log_e_worse < -math.log(alpha),
        recent_within=recent_trials == 0 or rule.holds(recent_bad / recent_trials),
        fault=progress.fault,
    )


def _breaches(baseline: EProcessState, rule: GateCriterion, alpha: float) -> bool:
    if baseline.peak_log_e_breach >= -math.log(alpha):
        return True
    enough = baseline.share is not None and baseline.trials >= rule.min_samples
    return enough and not rule.holds(baseline.share or 0.0)
