"""Rules of other canary gates, ported from their sources, on whole minutes of (bad, trials) counts.

Argo Rollouts: `assessMetricStatus` in analysis/analysis.go (argoproj/argo-rollouts): a metric fails once
  `result.Failed > metric.FailureLimit`; failures add up and are never reset. Measured every minute as the
  error rate of the last minute, `successCondition: result[0] < limit`; the first time after one minute
  (`initialDelay`), 20 times (`count`). Without a request the rate is NaN, not below the limit: failed.
Flagger: `runBuiltinMetricChecks` in pkg/controller/scheduler_metrics.go and `advanceCanary` in
  pkg/controller/scheduler.go (fluxcd/flagger): a round fails when the success rate of the last interval is
  below the threshold, or when no values are found; the canary is rolled back at the beginning of the round
  after `FailedChecks >= threshold`; a failed round is repeated, so a promotion needs 20 good rounds
  (`iterations`).
Kayenta: `MannWhitneyClassifier.scala`, `NetflixACAJudge.scala`, `IQRDetector.scala` (kayenta-judge) and
  `MannWhitney.scala` (kayenta-mannwhitney, after R's wilcox.test) in spinnaker/kayenta: canary against
  baseline, one value a minute; High when the lower end of the 98 % confidence interval of the shift exceeds
  0.25 times its estimate. Direction is "increase" and the metric critical. Its outlier filter (3 IQR, at
  least the 99th percentile) removes nothing from fewer than 100 values. Its root search stops within 1e-4;
  here roots are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW: Final = 20  # minutes
TOLERANCE: Final = 0.25
QUANTILE: Final = 2.3263478740408408  # of the normal distribution, for a confidence of 0.98 on two sides
PROMOTE, ROLLBACK, HOLD = 1, 2, 0


@dataclass(frozen=True)
class Verdicts:
    """By trace: the decision (PROMOTE, ROLLBACK, HOLD) and its minute."""

    outcome: NDArray[np.int64]
    minute: NDArray[np.float64]


def failed_minutes(
    bad: NDArray[np.int64], trials: NDArray[np.int64], limits: NDArray[np.float64], strict: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return the failed minutes by criterion; an empty minute fails. `strict`: the limit itself is a failure."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = bad / trials
    bounds = limits[None, :, None]
    return ~np.where(strict[None, :, None], rate < bounds, rate <= bounds)  # a NaN is never within


def argo(failed: NDArray[np.bool_], failure_limit: int) -> Verdicts:
    """Roll back once a metric has failed more often than `failure_limit`; promote after the last look."""
    exceeded = np.any(np.cumsum(failed[:, :, :WINDOW], axis=2) > failure_limit, axis=1)
    return _first(exceeded, np.arange(1.0, WINDOW + 1))


def flagger(failed: NDArray[np.bool_], threshold: int) -> Verdicts:
    """Roll back one round after the threshold-th failed round; promote after 20 good rounds."""
    any_failed = failed.any(axis=1)
    failures = np.cumsum(any_failed, axis=1)
    successes = np.cumsum(~any_failed, axis=1)
    out, done = failures >= threshold, successes >= WINDOW
    rolled, out_at = out.any(axis=1), out.argmax(axis=1)
    finished, done_at = done.any(axis=1), done.argmax(axis=1)
    rolled &= ~finished | (out_at < done_at)
    return Verdicts(
        np.where(rolled, ROLLBACK, np.where(finished, PROMOTE, HOLD)),
        np.where(rolled, out_at + 2.0, np.where(finished, done_at + 1.0, failed.shape[2])),
    )


def kayenta(canary: NDArray[np.float64], baseline: NDArray[np.float64], looks: tuple[int, ...]) -> Verdicts:
    """Judge the minutes so far at each of `looks`; roll back at the first look that finds any metric High."""
    high = np.stack([_high(canary[:, :, :look], baseline[:, :, :look]).any(axis=1) for look in looks], axis=1)
    return _first(high, np.array(looks, dtype=float))


def _first(alarm: NDArray[np.bool_], minutes: NDArray[np.float64]) -> Verdicts:
    rolled = alarm.any(axis=1)
    return Verdicts(np.where(rolled, ROLLBACK, PROMOTE), np.where(rolled, minutes[alarm.argmax(axis=1)], minutes[-1]))


def _high(canary: NDArray[np.float64], baseline: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the metrics that are High.

    The score falls with the shift, so the interval begins above 0.25 |estimate| exactly where the score at
    that shift exceeds the quantile. The estimate (Hodges and Lehmann) is the median of all differences.
    """
    size = canary.shape[2]
    differences = canary[..., :, None] - baseline[..., None, :]
    estimate = np.median(differences.reshape(*canary.shape[:2], -1), axis=2)
    shift = TOLERANCE * np.abs(estimate)
    above = np.sign(np.round(differences - shift[..., None, None], 12))
    excess = above.sum(axis=(2, 3)) / 2  # the rank sum less its mean
    pooled = np.round(np.concatenate([canary - shift[..., None], baseline], axis=2), 12)
    ties = (pooled[..., :, None] == pooled[..., None, :]).sum(axis=3)
    tied = (ties.astype(float) ** 2 - 1).sum(axis=2)
    total = 2.0 * size
    variance = size * size / 12 * (total + 1 - tied / (total * (total - 1)))
    with np.errstate(invalid="ignore", divide="ignore"):
        score = (excess - np.sign(excess) * 0.5) / np.sqrt(variance)
    different = (np.sort(canary, axis=2) != np.sort(baseline, axis=2)).any(axis=2)
    high: NDArray[np.bool_] = different & (variance > 0) & (score > QUANTILE)
    return high
