"""Assessment of one criterion of a canary window: what was counted, and how it lies to the limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final, Literal

from opsverify.canary.e_process import (
    EProcess,
    EProcessState,
    StartWeights,
    log_e_below,
    trials_to_prove,
    upper_bound,
)
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
    """Windows and steps in seconds, error rates, and what to do where the runbook leaves a choice.

    `warm_up_s`: what each process counts so long after it began in the window is not judged. `restarts`: how many a
    canary may have. `alert_grace_s`, `shared_grace_s`: how long an alert that fired before the window, and a breach
    that the baseline shares, are waited for (None: the shortest window, and a quarter of it).
    """

    shortest_s: float = 600.0
    longest_s: float = 1200.0
    step_s: float = 15.0
    alpha: float = 0.05
    beta: float = 0.05
    min_coverage: float = 0.9
    end_rule: Literal["literal", "proof"] = "literal"
    on_shared_breach: Literal["rollback", "hold"] = "rollback"
    on_worse_than_baseline: Literal["note", "hold", "rollback"] = "note"
    warm_up_s: float = 0.0
    restarts: int | None = 1
    alert_grace_s: float | None = None
    shared_grace_s: float | None = None
    excuse_rollback_only: bool = True

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
    def waits_for_alerts_s(self) -> float:
        """How long an alert that fires since before the window is waited for."""
        return self.shortest_s if self.alert_grace_s is None else self.alert_grace_s

    @property
    def waits_for_shared_s(self) -> float:
        """How long a breach that the baseline shares is waited for."""
        return self.shortest_s / 4 if self.shared_grace_s is None else self.shared_grace_s

    @property
    def tolerated_s(self) -> float:
        """Seconds of the longest window that may be missing."""
        return max(2 * self.step_s, (1 - self.min_coverage) * self.longest_s)

    @property
    def recent_steps(self) -> int:
        """A quarter of the shortest window: a canary outside its limit in the latest steps is not promoted."""
        return max(1, round(self.shortest_s / self.step_s / 4))


@dataclass(frozen=True)
class Counts:
    """Bad ones out of trials in one step; `hidden`: more trials that there may have been, all good at best."""

    bad: float
    trials: float
    hidden: float = 0.0


NOTHING: Final = Counts(0, 0)


class Progress:
    """Counts and evidence of one criterion, canary and baseline; advanced step by step.

    `fault` is why it cannot be decided, if so; `distorted` means that its counts are not valid either. `unseen` is what
    may be missing from the canary's counts, at most; `notes` are said with its measurement. `shared_since`: the step
    at which a breach was proven that the baseline shares, while that goes on; `waited`: it is still waited for.
    """

    def __init__(self, criterion: GateCriterion, policy: Policy) -> None:
        self.criterion = criterion
        self.fault: str | None = None
        self.distorted = False
        self.unseen = NOTHING
        self.notes: tuple[str, ...] = ()
        self.shared_since: int | None = None
        self.waited = False
        self.history: list[tuple[Counts, Counts]] = []
        self._policy = policy
        self._left_out: set[int] = set()
        self._begin()

    def advance(self, canary: Counts, baseline: Counts = NOTHING) -> None:
        """Add one step; without a baseline nothing is compared."""
        self.history.append((canary, baseline))
        self._add(canary, baseline)

    def leave_out(self, steps: set[int]) -> None:
        """Judge without these steps (numbers of `history`)."""
        self._left_out |= steps
        self._begin()
        for number, (canary, baseline) in enumerate(self.history):
            out = number in self._left_out
            self._add(*((NOTHING, NOTHING) if out else (canary, baseline)))

    @property
    def left_out(self) -> frozenset[int]:
        """Steps that are not judged."""
        return frozenset(self._left_out)

    @property
    def log_e_worse(self) -> float:
        """The most evidence so far that the canary is worse than the baseline."""
        return self._worse.peak

    def _begin(self) -> None:
        self.canary = EProcessState(self.criterion.limit, self._policy.starts)
        self.baseline = EProcessState(self.criterion.limit, self._policy.starts)
        self._worse = EProcess(self._policy.starts)

    def _add(self, canary: Counts, baseline: Counts) -> None:
        self.canary.advance(canary.bad, canary.trials, canary.hidden)
        self.baseline.advance(baseline.bad, baseline.trials, baseline.hidden)
        bad = canary.bad + baseline.bad
        if bad and canary.trials and baseline.trials:
            # At equal rates the canary's share of a step's bad ones is its share of the trials.
            self._worse.advance(canary.bad / bad, canary.trials / (canary.trials + baseline.trials))
        else:
            self._worse.skip()


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
    share, unseen = canary.share, progress.unseen
    worst = canary.bad + unseen.bad, canary.trials + unseen.trials
    below = log_e_below(*worst, rule.limit, dispersion)
    missing = max(0, math.ceil(rule.min_samples - canary.trials))
    recent_bad, recent_trials = canary.recent(policy.recent_steps)
    fault = progress.fault
    if canary.peak_log_e_breach >= -math.log(alpha):
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
        log_e_breach=canary.peak_log_e_breach,
        log_e_below=below,
        more=more,
        shared=shares_breach(progress, policy, criteria),
        recent_within=recent_trials == 0 or rule.holds(recent_bad / recent_trials),
        fault=fault,
        waited=progress.waited,
        worse=_worse(progress, alpha),
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
    return f"proven worse than the baseline ({times}{text} of {progress.baseline.trials:,.0f}; {odds:,.3g} to 1)"


def _undecided(progress: Progress, share: float) -> str:
    rule, unseen = progress.criterion, progress.unseen
    return (
        f"{rule.text(share)} of {progress.canary.trials:,.0f} {rule.counted}, limit {rule.limit_text}; up to "
        f"{unseen.trials:,.0f} more were not seen, which could change it: observe longer (--window)"
    )


def _breaches(baseline: EProcessState, rule: GateCriterion, needed: float) -> bool:
    if baseline.peak_log_e_breach >= needed:
        return True
    enough = baseline.share is not None and baseline.trials >= rule.min_samples
    return enough and not rule.holds(baseline.share or 0.0)
