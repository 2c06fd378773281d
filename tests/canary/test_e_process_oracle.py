"""The gate's arithmetic against `ville`, an independent library of anytime-valid inference."""

from __future__ import annotations

import math
import random

import pytest

from opsverify.canary.e_process import FRACTIONS, EProcess, StartWeights, log_e_below, upper_bound

ville = pytest.importorskip("ville", reason="the oracle is not installed")


def outcomes(share: float, number: int, seed: int) -> list[int]:
    """Draw trials, 1 for a bad one."""
    generator = random.Random(seed)  # noqa: S311 - a simulation
    return [int(generator.random() < share) for _ in range(number)]


def log_e_value(observed: list[float], mean: float, fraction: float) -> float:
    """Return ville's log e-value; a tiny alpha lifts its plug-in fraction above the cap `c`, so the cap is used."""
    test = ville.BettingTest(mean, alternative="greater", c=fraction, alpha=1e-300).fit(observed)
    return float(test.log_e_values_[-1])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.6])
def test_breach_evidence_is_villes_mixture(share: float) -> None:
    """The average of ville's e-values, one for each fraction, is our e-value."""
    shares = [sum(outcomes(share, 10, seed)) / 10 for seed in range(200)]
    ours = EProcess(StartWeights(1, 1))
    for one in shares:
        ours.advance(one, 0.3)
    assert ours.log_e == pytest.approx(
        _log_mean([log_e_value(shares, 0.3, fraction) for fraction in FRACTIONS]), rel=1e-9
    )


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05])
def test_health_evidence_is_villes_mixture_on_the_good_ones(share: float) -> None:
    """Below the limit mirrors above it: bad below p0 is good above 1 - p0."""
    trials = outcomes(share, 400, seed=5)
    good = [1.0 - outcome for outcome in trials]
    theirs = _log_mean([log_e_value(good, 0.98, fraction) for fraction in FRACTIONS])
    assert log_e_below(sum(trials), len(trials), 0.02) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("share", [0.003, 0.02, 0.1])
def test_upper_bound_is_near_the_beta_binomial_one(share: float) -> None:
    """A different mixture (beta prior) gives a bound of the same size."""
    trials = outcomes(share, 5000, seed=9)
    theirs = ville.BernoulliCS(alpha=0.1, intersect=False).fit(trials).interval()[1]
    assert upper_bound(sum(trials), len(trials), 0.05) == pytest.approx(theirs, rel=0.2)


def _log_mean(logs: list[float]) -> float:
    largest = max(logs)
    return largest + math.log(sum(math.exp(log - largest) for log in logs) / len(logs))
