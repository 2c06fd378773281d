"""Rule of the canary gate over thousands of traces at once; `gate_power` checks it against `opsverify.canary`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from gate_peers import HOLD, PROMOTE, ROLLBACK, Verdicts

from opsverify.canary.decision import GateOutcome, WindowState, decide
from opsverify.canary.e_process import FRACTIONS
from opsverify.canary.policy import GateCriterion, Kind, Policy
from opsverify.canary.progress import Counts as StepCounts
from opsverify.canary.progress import Progress
from opsverify.canary.trial_evidence import LEAST_STEPS, ODDS

if TYPE_CHECKING:
    from gate_traces import Counts, Rule, Traces
    from numpy.typing import NDArray

MIN_SAMPLES = 200
_FRACTIONS = np.array(FRACTIONS)
_ODDS = np.array(ODDS)
_CODES = {GateOutcome.PROMOTE: PROMOTE, GateOutcome.ROLLBACK: ROLLBACK, GateOutcome.HOLD: HOLD}


def opsverify(traces: Traces, rules: tuple[Rule, ...], policy: Policy) -> Verdicts:
    """Decide every trace at every step of the longest window."""
    limits = np.array([rule.limit for rule in rules])
    strict = np.array([rule.strict for rule in rules])
    only = np.array([rule.rollback_only for rule in rules])
    steps = policy.starts.horizon
    outcome = np.full(traces.bad.shape[0], -1)
    minute = np.zeros(traces.bad.shape[0])
    breach = _Breach(limits, policy, traces.bad.shape[:2])
    canary, baseline = _Sums(traces.bad, traces.trials), _Sums(traces.base_bad, traces.base_trials)
    for step in range(steps):
        by_trials = _log_e_trials(canary, baseline, limits, step) if policy.breach_evidence == "trials" else None
        proven = breach.advance(traces.bad[:, :, step], traces.trials[:, :, step], step, by_trials)
        _settle(outcome, minute, np.any(proven, axis=1), ROLLBACK, (step + 1) * policy.step_s)
        if (step + 1) * policy.step_s < policy.shortest_s:
            continue
        share = canary.share(0, step)
        within = np.where(strict, share < limits, share <= limits) & (canary.trials(0, step) >= MIN_SAMPLES)
        spread = np.maximum(canary.dispersion(step), baseline.dispersion(step))
        below = _log_e_below(canary.bad(0, step), canary.trials(0, step), limits, spread) >= -math.log(policy.beta)
        recent = canary.share(step + 1 - policy.recent_steps, step)
        calm = np.isnan(recent) | np.where(strict, recent < limits, recent <= limits)
        clear = (within & (below | only) & calm).all(axis=1)
        _settle(outcome, minute, clear, PROMOTE, (step + 1) * policy.step_s)
    if policy.end_rule == "literal":
        share, enough = canary.share(0, steps - 1), canary.trials(0, steps - 1) >= MIN_SAMPLES
        outside = enough & ~np.where(strict, share < limits, share <= limits)
        _settle(outcome, minute, np.any(outside, axis=1), ROLLBACK, policy.longest_s)
        _settle(outcome, minute, np.all(enough, axis=1), PROMOTE, policy.longest_s)
    _settle(outcome, minute, outcome < 0, HOLD, policy.longest_s)
    return Verdicts(outcome, minute)


def breaches(traces: Traces, rules: tuple[Rule, ...], policy: Policy) -> NDArray[np.int64]:
    """The step at which a breach is proven, by trace; -1 where none is."""
    limits = np.array([rule.limit for rule in rules])
    breach = _Breach(limits, policy, traces.bad.shape[:2])
    canary, baseline = _Sums(traces.bad, traces.trials), _Sums(traces.base_bad, traces.base_trials)
    first = np.full(traces.bad.shape[0], -1)
    for step in range(policy.starts.horizon):
        by_trials = _log_e_trials(canary, baseline, limits, step) if policy.breach_evidence == "trials" else None
        proven = breach.advance(traces.bad[:, :, step], traces.trials[:, :, step], step, by_trials).any(axis=1)
        first[proven & (first < 0)] = step
    return first


def by_the_library(traces: Traces, rules: tuple[Rule, ...], policy: Policy, trace: int) -> tuple[int, float]:
    """Decide one trace with `opsverify.canary`, step by step as in production."""
    progress = [
        Progress(
            GateCriterion(
                name=str(number),
                limit=rule.limit,
                min_samples=MIN_SAMPLES,
                kind=Kind.ROLLBACK_ONLY if rule.rollback_only else Kind.PROMOTE,
                strict=rule.strict,
            ),
            policy,
        )
        for number, rule in enumerate(rules)
    ]
    elapsed_s = 0.0
    decision = None
    for step in range(policy.starts.horizon):
        elapsed_s = (step + 1) * policy.step_s
        for number, one in enumerate(progress):
            one.advance(
                StepCounts(float(traces.bad[trace, number, step]), float(traces.trials[trace, number, step])),
                StepCounts(
                    float(traces.base_bad[trace, number, step]),
                    float(traces.base_trials[trace, number, step]),
                ),
            )
        decision = decide(policy, progress, WindowState(elapsed_s, 1.0))
        if decision.outcome is not GateOutcome.CONTINUE:
            return _CODES[decision.outcome], elapsed_s / 60
    raise AssertionError(f"no decision after {elapsed_s} s: {decision}")


class _Breach:
    def __init__(self, limits: NDArray[np.float64], policy: Policy, shape: tuple[int, ...]) -> None:
        self._limits, self._starts = limits, policy.starts
        self._needed = -math.log(policy.alpha / len(limits))
        self._log_sums = np.full((*shape, len(FRACTIONS)), -np.inf)
        self._log_weights = np.log(policy.fraction_weights)
        self._waiting = 1.0
        self._proven = np.zeros(shape, dtype=bool)

    def advance(
        self, bad: NDArray[np.int64], trials: NDArray[np.int64], step: int, by_trials: NDArray[np.float64] | None
    ) -> NDArray[np.bool_]:
        weight = self._starts.weight(step)
        if weight:
            self._log_sums = np.logaddexp(self._log_sums, math.log(weight))
            self._waiting -= weight
        excess = np.where(trials > 0, bad / np.maximum(trials, 1) / self._limits - 1, 0.0)
        self._log_sums += np.log1p(excess[..., None] * _FRACTIONS)
        played = np.logaddexp.reduce(self._log_sums + self._log_weights, axis=2)
        log_e = np.logaddexp(played, math.log(self._waiting)) if self._waiting > 1e-9 else played
        if by_trials is not None:
            log_e = np.logaddexp(log_e, by_trials) - math.log(2)
        self._proven |= log_e >= self._needed
        return self._proven


class _Sums:
    """Cumulative sums over steps, for any range of them."""

    def __init__(self, bad: Counts, trials: Counts) -> None:
        self._bad, self._trials = np.cumsum(bad, axis=2), np.cumsum(trials, axis=2)
        self._squares = np.cumsum(bad * bad / np.maximum(trials, 1), axis=2)
        self._counted = np.cumsum(trials > 0, axis=2)

    def bad(self, first: int, last: int) -> NDArray[np.float64]:
        return _range(self._bad, first, last)

    def trials(self, first: int, last: int) -> NDArray[np.float64]:
        return _range(self._trials, first, last)

    def counted(self, last: int) -> NDArray[np.int64]:
        return self._counted[:, :, last]

    def share(self, first: int, last: int) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.bad(first, last) / self.trials(first, last)

    def dispersion(self, last: int) -> NDArray[np.float64]:
        bad, trials = self.bad(0, last), self.trials(0, last)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = bad / trials
            spread = (self._squares[:, :, last] - bad * share) / (share * (1 - share)) / (self._counted[:, :, last] - 1)
        return np.where((bad > 0) & (bad < trials) & (self._counted[:, :, last] > 1), np.maximum(spread, 1.0), 1.0)


def _log_e_trials(canary: _Sums, baseline: _Sums, limits: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """As `opsverify.canary.trial_evidence`."""
    bad, trials, others = canary.bad(0, step), canary.trials(0, step), baseline.trials(0, step)
    size = np.maximum(1.0, trials / np.maximum(others, 1))
    spread = np.maximum(canary.dispersion(step), 1 + (baseline.dispersion(step) - 1) * size)
    logs = bad[..., None] * np.log(_ODDS) - trials[..., None] * np.log1p((_ODDS - 1) * limits[:, None])
    summed = np.logaddexp.reduce(logs / spread[..., None], axis=2) - math.log(len(_ODDS))
    told = (canary.counted(step) >= LEAST_STEPS) & (baseline.counted(step) >= LEAST_STEPS)
    return np.where(told, summed, 0.0)


def _range(sums: NDArray[np.int64], first: int, last: int) -> NDArray[np.float64]:
    whole = sums[:, :, last].astype(float)
    return whole - sums[:, :, first - 1] if first else whole


def _log_e_below(
    bad: NDArray[np.float64],
    trials: NDArray[np.float64],
    limits: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> NDArray[np.float64]:
    odds = (limits / (1 - limits))[:, None]
    logs = bad[..., None] * np.log1p(-_FRACTIONS) + (trials - bad)[..., None] * np.log1p(_FRACTIONS * odds)
    summed: NDArray[np.float64] = np.logaddexp.reduce(logs / spread[..., None], axis=2)
    return summed - math.log(len(FRACTIONS))


def _settle(
    outcome: NDArray[np.int64],
    minute: NDArray[np.float64],
    which: NDArray[np.bool_],
    code: int,
    elapsed_s: float,
) -> None:
    fresh = which & (outcome < 0)
    outcome[fresh] = code
    minute[fresh] = elapsed_s / 60
