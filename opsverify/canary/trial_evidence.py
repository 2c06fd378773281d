"""Evidence of a breach trial by trial: sooner than by steps, for bad ones that come as they were seen to come.

The likelihood ratio of n trials with s bad ones, at odds above the limit's against the limit, is
prod(q / p0)^s ((1 - q) / (1 - p0))^(n - s). For trials that are bad independently of each other, with probability
<= p0 given the past, it is a nonnegative supermartingale that starts at 1, and so is the average over fixed odds.
  Wald, "Sequential tests of statistical hypotheses", Annals of Mathematical Statistics 16 (1945).
  Robbins, "Statistical methods related to the law of the iterated logarithm", same journal 41 (1970): mixtures.

Bad ones that come together carry less evidence than their number: its logarithm is divided by the dispersion (>= 1)
between the steps of canary and baseline, whichever shows more, as quasi-likelihood does. Dividing never hurts where
trials are independent (Jensen). Where they are not it is an approximation: it holds as far as bad ones of the canary
cluster no more than the steps so far have shown on either side, so there is none before `LEAST_STEPS`, and none without
a baseline. What this costs where the canary alone has spells is measured in docs/gate-power.md.
  McCullagh and Nelder, "Generalized Linear Models", 2nd ed. 1989, 4.5 and 9: dispersion between groups.

It is averaged with the evidence by steps (`e_process`), which needs no such thing: the average of two e-values is one.
  Vovk and Wang, "E-values: calibration, combination and applications", Annals of Statistics 49 (2021).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from opsverify.canary.e_process import log_sum_exp

if TYPE_CHECKING:
    from opsverify.canary.e_process import EProcessState

ODDS: Final = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
"""Times the odds of the limit: slight breaches and gross ones."""
LEAST_STEPS: Final = 6
"""Steps with trials before which clustering cannot be told."""


def log_likelihood_ratio(bad: float, trials: float, limit: float, dispersion: float = 1.0) -> float:
    """The natural log of the evidence that the share of bad ones is above `limit`; `dispersion` >= 1 divides it.

    Raises ValueError for counts or settings that cannot be.
    """
    if not (0 <= bad <= trials and math.isfinite(trials) and 0 < limit < 1 and dispersion >= 1):
        raise ValueError(f"expected 0 <= bad <= trials, not {bad} of {trials} at {limit} and dispersion {dispersion}")
    # With odds of m times the limit's, q / p0 is m times (1 - q) / (1 - p0), which is 1 / (1 + (m - 1) p0).
    return log_sum_exp(
        (bad * math.log(times) - trials * math.log1p((times - 1) * limit)) / dispersion - math.log(len(ODDS))
        for times in ODDS
    )


def log_e_trials(canary: EProcessState, baseline: EProcessState) -> float:
    """The natural log of the evidence by trials; 0 (none) where clustering cannot be told."""
    if canary.counted < LEAST_STEPS or baseline.counted < LEAST_STEPS:
        return 0.0
    # What lasts a step clusters the more, the more trials a step has.
    size = max(1.0, canary.trials / baseline.trials)
    dispersion = max(canary.dispersion, 1 + (baseline.dispersion - 1) * size)
    return log_likelihood_ratio(canary.bad, canary.trials + canary.hidden, canary.limit, dispersion)
