"""E-process of a canary: evidence about a share of bad ones out of trials that holds at every step; needs only `math`.

An e-process is a nonnegative process that starts at 1 and whose conditional mean never exceeds its last value while
the null hypothesis holds; its value at a step is the e-value. By Ville's inequality it ever reaches 1 / alpha with
probability <= alpha: it may be read after every step without losing its error rate. Two hypotheses are tested.

*The share is above the limit* (`EProcess`, `EProcessState.log_e_breach`). Step k has n_k trials, s_k of them bad,
y_k = s_k / n_k in [0, 1]. For a fraction 0 < c < 1 the e-value is prod(1 + (c / p0) (y_k - p0)), whose factors are
never negative and have conditional mean <= 1 as long as E[y_k | past] <= p0: a nonnegative supermartingale that
starts at 1. The average over fractions and the weighted sum over starts are supermartingales too, since the weights
are fixed before the first step and add up to 1. It holds however the bad ones cluster inside a step, because only
the conditional mean of y_k is used.
  Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024
  (arXiv 2010.09686).
  Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences",
  Annals of Statistics 2021 (arXiv 1810.08240).

*The share is below the limit* (`log_e_below`). The same fractions on the good ones, trial by trial: a bad trial
multiplies the e-value by 1 - c, a good one by 1 + c p0 / (1 - p0). Exact for trials whose conditional probability
of being bad is >= p0 under the null. Trials that fail together carry less evidence than their number, so
counts are divided by the dispersion (>= 1). Dividing never hurts where trials are independent: the e-value
to the power 1 / dispersion passes 1 / beta only if the e-value itself does. For bursts it is the usual
quasi-likelihood approximation, and no guarantee.
  Lindon, Sanden and Shirikian, "Rapid regression detection in software deployments through sequential
  testing", KDD 2022 (arXiv 2205.14762), who brought such tests to canaries.

What the guarantee does not cover: traffic of a step that depends on the outcomes of the same step, and bad
spells that last over several steps (those are a breach while they last, and are reported as one).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FRACTIONS: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95)
"""Fractions c of the largest step that keeps factors nonnegative: small ones find slight breaches, large ones gross."""

EQUAL_WEIGHTS: Final = (1 / len(FRACTIONS),) * len(FRACTIONS)
BREACH_WEIGHTS: Final = (0.05, 0.1, 0.1, 0.1, 0.15, 0.15, 0.35)
"""Weights of the fractions for a breach: at high traffic a step's share is nearly exact, and the largest is soonest."""

FIRST_START_WEIGHT: Final = 0.5
"""Weight of the e-process from the window's beginning; the rest is for a regression in mid-window."""

_BISECTIONS: Final = 100


def log_sum_exp(logs: Iterable[float]) -> float:
    """Return the log of the sum of exponentials, without overflow; minus infinity for nothing."""
    values = list(logs)
    largest = max(values, default=-math.inf)
    if math.isinf(largest):
        return largest
    return largest + math.log(math.fsum(math.exp(value - largest) for value in values))


@dataclass(frozen=True)
class StartWeights:
    """Weights of the steps at which a regression may begin: half at step 0, the rest equally every `spacing` steps.

    `horizon` is the number of steps of the longest window: the weights must be known beforehand.
    """

    horizon: int
    spacing: int

    def __post_init__(self) -> None:
        if self.horizon < 1 or self.spacing < 1:
            raise ValueError(f"expected horizon and spacing >= 1, not {self.horizon} and {self.spacing}")

    @property
    def later(self) -> int:
        """How many starts come after the window's beginning."""
        return (self.horizon - 1) // self.spacing

    def weight(self, step: int) -> float:
        """Return the weight of a start at `step`; over all steps the weights add up to 1."""
        if step == 0:
            return FIRST_START_WEIGHT if self.later else 1.0
        if step < self.horizon and step % self.spacing == 0:
            return (1 - FIRST_START_WEIGHT) / self.later
        return 0.0


class EProcess:
    """Evidence that shares in [0, 1] lie above bounds; O(fractions) per step.

    All starts with the same fraction are multiplied by the same factor, so one sum per fraction holds them all.
    """

    def __init__(self, starts: StartWeights, weights: Sequence[float] = EQUAL_WEIGHTS) -> None:
        self._starts = starts
        self._log_weights = [math.log(weight) for weight in weights]
        self._step = 0
        self._later_starts = starts.later
        self._log_sums = [-math.inf] * len(FRACTIONS)
        self.peak = 0.0

    def advance(self, share: float, bound: float) -> None:
        """Add one step of measured `share`; under the null its conditional mean is at most `bound`.

        Raises ValueError outside 0 <= share <= 1 and 0 < bound <= 1.
        """
        if not 0 <= share <= 1 or not 0 < bound <= 1:
            raise ValueError(f"expected a share in [0, 1] and a bound in (0, 1], not {share} and {bound}")
        self._begin_step()
        excess = share / bound - 1
        self._log_sums = [
            log_sum + math.log1p(fraction * excess) for log_sum, fraction in zip(self._log_sums, FRACTIONS, strict=True)
        ]
        self.peak = max(self.peak, self.log_e)

    def skip(self) -> None:
        """Add one step without trials: the e-value stays what it is."""
        self._begin_step()

    @property
    def log_e(self) -> float:
        """Natural log of the e-value now (0 at the beginning)."""
        if not self._step:
            return 0.0
        begun = log_sum_exp(map(sum, zip(self._log_sums, self._log_weights, strict=True)))
        if not self._later_starts:
            return begun
        return log_sum_exp((begun, math.log((1 - FIRST_START_WEIGHT) * self._later_starts / self._starts.later)))

    def _begin_step(self) -> None:
        weight = self._starts.weight(self._step)
        if weight:
            self._log_sums = [log_sum_exp((log_sum, math.log(weight))) for log_sum in self._log_sums]
            self._later_starts -= self._step > 0
        self._step += 1


def log_e_below(bad: float, trials: float, limit: float, dispersion: float = 1.0) -> float:
    """Return the natural log of the evidence that the share of bad ones is below `limit`.

    `dispersion` >= 1 divides both counts. Raises ValueError for counts or settings that cannot be.
    """
    _require_counts(bad, trials)
    if not 0 < limit < 1 or dispersion < 1:
        raise ValueError(f"expected a limit in (0, 1) and a dispersion >= 1, not {limit} and {dispersion}")
    good = trials - bad
    odds = limit / (1 - limit)
    return log_sum_exp(
        (bad * math.log1p(-fraction) + good * math.log1p(fraction * odds)) / dispersion - math.log(len(FRACTIONS))
        for fraction in FRACTIONS
    )


def upper_bound(bad: float, trials: float, beta: float, dispersion: float = 1.0) -> float:
    """Return the share proven not to be reached, at confidence 1 - `beta`, at every step.

    The evidence grows with the limit, so the limits already disproven are all those above one number.
    """
    _require_counts(bad, trials)
    needed = -math.log(beta)
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if log_e_below(bad, trials, middle, dispersion) >= needed:
            high = middle
        else:
            low = middle
    return high


def trials_to_prove(share: float, limit: float, beta: float, dispersion: float = 1.0) -> int | None:
    """Return how many trials in all prove a share below `limit` if it stays at `share`; None: no number."""

    def proven(trials: float) -> bool:
        return log_e_below(share * trials, trials, limit, dispersion) >= -math.log(beta)

    high = 1
    while not proven(high):
        high *= 2
        if high > 10**12:  # beyond any traffic: too close to the limit to be proven
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proven(middle) else (middle, high)
    return high


class EProcessState:
    """Evidence of the steps so far about one share against one limit; advanced step by step."""

    def __init__(self, limit: float, starts: StartWeights, weights: Sequence[float] = EQUAL_WEIGHTS) -> None:
        if not 0 < limit < 1:
            raise ValueError(f"expected a limit in (0, 1), not {limit}")
        self.limit = limit
        self.steps: list[tuple[float, float]] = []
        self.bad = 0.0
        self.trials = 0.0
        self.hidden = 0.0
        self.counted = 0
        """Steps with trials."""
        self._breach = EProcess(starts, weights)
        self._squares = 0.0

    def advance(self, bad: float, trials: float, hidden: float = 0.0) -> None:
        """Add one step; without trials it adds no evidence. Raises ValueError for counts that cannot be.

        `hidden` more trials, which a gap may hide, count as good for the evidence of a breach.
        """
        _require_counts(bad, trials)
        self.steps.append((bad, trials))
        if not trials:
            self._breach.skip()
            return
        self._breach.advance(bad / (trials + hidden), self.limit)
        self.bad += bad
        self.trials += trials
        self.hidden += hidden
        self._squares += bad * bad / trials
        self.counted += 1

    @property
    def share(self) -> float | None:
        """Bad ones out of all trials so far; None without trials."""
        return self.bad / self.trials if self.trials else None

    @property
    def log_e_breach(self) -> float:
        """Natural log of the evidence that the share is above the limit, now."""
        return self._breach.log_e

    @property
    def peak_log_e_breach(self) -> float:
        """The most evidence of a breach at any step so far: Ville's inequality bounds this one."""
        return self._breach.peak

    @property
    def dispersion(self) -> float:
        """How much the bad ones cluster: Pearson's chi-square of the steps per degree of freedom, >= 1."""
        if not 0 < self.bad < self.trials or self.counted < 2:  # noqa: PLR2004 - one step has no spread
            return 1.0
        share = self.bad / self.trials
        chi_square = (self._squares - self.bad * share) / (share * (1 - share))
        return max(1.0, chi_square / (self.counted - 1))

    def log_e_below(self, dispersion: float = 1.0) -> float:
        """Return the natural log of the evidence of being below the limit; `dispersion` is a least value."""
        return log_e_below(self.bad, self.trials, self.limit, max(dispersion, self.dispersion))

    def upper_bound(self, beta: float, dispersion: float = 1.0) -> float:
        """Return the share proven not to be reached (confidence 1 - `beta`, a least `dispersion`)."""
        return upper_bound(self.bad, self.trials, beta, max(dispersion, self.dispersion))

    def recent(self, steps: int) -> tuple[float, float]:
        """Sum up bad ones and trials of the last `steps` steps."""
        last = self.steps[-steps:]
        return math.fsum(bad for bad, _ in last), math.fsum(trials for _, trials in last)


def _require_counts(bad: float, trials: float) -> None:
    if not (0 <= bad <= trials and math.isfinite(trials)):
        raise ValueError(f"expected 0 <= bad <= trials, finite, not {bad} of {trials}")
