"""Evidence by trials: its definition in exact fractions, when there is none, its error rate, and what it wins."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.canary.e_process import BREACH_WEIGHTS, EQUAL_WEIGHTS, FRACTIONS, EProcess, EProcessState, StartWeights
from opsverify.canary.policy import GateCriterion, Policy
from opsverify.canary.progress import Counts, Progress
from opsverify.canary.trial_evidence import LEAST_STEPS, ODDS, log_e_trials, log_likelihood_ratio
from opsverify.canary.window_setup import Setup
from tests.canary.metrics_double import SETUP

STARTS = StartWeights(80, 4)
LIMIT = 0.01
PROOF = Policy(alpha=0.01, beta=0.01, end_rule="proof")
TRIALS = replace(PROOF, breach_evidence="trials")
ERRORS = GateCriterion(name="error_rate", limit=LIMIT, min_samples=200, counted="requests failed")


def state(counts: list[tuple[int, int]], limit: float = LIMIT) -> EProcessState:
    """Feed all steps."""
    found = EProcessState(limit, STARTS)
    for bad, trials in counts:
        found.advance(bad, trials)
    return found


@given(st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.fractions("1/1000", "9/10"))
def test_it_is_the_average_of_likelihood_ratios(counts: tuple[int, int], limit: Fraction) -> None:
    """Trial by trial, in exact arithmetic: q / p0 for a bad one, (1 - q) / (1 - p0) for a good one."""
    bad, trials = counts
    total = Fraction(0)
    for times in map(Fraction, ODDS):
        odds = times * limit / (1 - limit)
        q = odds / (1 + odds)
        total += (q / limit) ** bad * ((1 - q) / (1 - limit)) ** (trials - bad)
    exact = total / len(ODDS)
    shown = math.log(exact.numerator) - math.log(exact.denominator)
    assert log_likelihood_ratio(bad, trials, float(limit)) == pytest.approx(shown, abs=1e-7)


@given(st.integers(0, 200), st.integers(200, 400), st.floats(1, 50))
def test_clustering_never_adds_evidence(bad: int, trials: int, dispersion: float) -> None:
    """Where there is evidence of a breach, it gets less; none is made of none."""
    plain, divided = (log_likelihood_ratio(bad, trials, LIMIT, by) for by in (1.0, dispersion))
    assert divided <= max(plain, 0.0) + 1e-9


@pytest.mark.parametrize(
    "wrong", [(2, 1, 0.1, 1), (-1, 1, 0.1, 1), (0, 1, 0.0, 1), (0, 1, 0.1, 0.5), (0, math.inf, 0.1, 1)]
)
def test_counts_that_cannot_be_are_refused(wrong: tuple[float, float, float, float]) -> None:
    """No more bad ones than trials, a limit that decides, a dispersion that divides."""
    with pytest.raises(ValueError, match="bad <= trials"):
        log_likelihood_ratio(*wrong)


def test_there_is_none_before_clustering_can_be_told() -> None:
    """Too few steps of the canary, or of a baseline: whether its bad ones cluster is unknown."""
    enough, few = [(30, 1500)] * LEAST_STEPS, [(30, 1500)] * (LEAST_STEPS - 1)
    assert log_e_trials(state(enough), state(enough)) > 10
    for canary, baseline in ((few, enough), (enough, few), (enough, [])):
        assert log_e_trials(state(canary), state(baseline)) == 0.0


def test_the_side_that_clusters_more_counts() -> None:
    """Spells of the baseline take evidence from the canary, the more, the more trials a step of the canary has."""
    canary, calm, spells = [(30, 1500)] * 8, [(5, 1500)] * 8, [(0, 1500), (10, 1500)] * 4
    small = [(0, 150), (1, 150)] * 4
    evidence = [log_e_trials(state(canary), state(baseline)) for baseline in (calm, spells)]
    assert 0 < evidence[1] < evidence[0]
    own = log_e_trials(state([(0, 1500), (60, 1500)] * 4), state(calm))
    assert own < evidence[1]
    assert state(small).dispersion == 1.0 or log_e_trials(state(canary), state(small)) < evidence[0]


def test_what_a_gap_hides_counts_as_good() -> None:
    """Trials that there may have been are no evidence of a breach."""
    shown, hiding = state([]), state([])
    for _ in range(8):
        shown.advance(30, 1500)
        hiding.advance(30, 1500, hidden=1500)
    baseline = state([(5, 1500)] * 8)
    assert log_e_trials(hiding, baseline) < log_e_trials(shown, baseline)


def rolled_back(policy: Policy, bad: np.ndarray, base: np.ndarray, trials: int) -> int | None:
    """The step at which a breach is proven; None where none is."""
    progress = Progress(ERRORS, policy)
    for number, (one, other) in enumerate(zip(bad, base, strict=True)):
        progress.advance(Counts(int(one), trials), Counts(int(other), trials))
        if progress.log_e_breach >= -math.log(policy.alpha):
            return number + 1
    return None


@pytest.mark.parametrize("together", [1, 8], ids=["independent", "bursts of 8"])
def test_false_rollbacks_stay_below_alpha(together: int) -> None:
    """At 0.99 times the limit on both sides, read after every step, one in a hundred windows at most."""
    random, windows, trials = np.random.default_rng(5), 150, 1500
    false = 0
    for _ in range(windows):
        bad, base = random.poisson(0.99 * LIMIT * trials / together, (2, 40)) * together
        false += rolled_back(TRIALS, bad, base, trials) is not None
    assert false / windows <= 0.01 + 2 * math.sqrt(0.01 * 0.99 / windows)


def test_an_independent_breach_is_proven_within_twice_the_limit_and_a_scrape() -> None:
    """1.5 % against 1 % at 100/s: Wald's test needs 42 s on average, this one at most 99 s; by steps it is later."""
    random, trials = np.random.default_rng(6), 1500
    took: dict[str, list[float]] = {"trials": [], "steps": []}
    for _ in range(60):
        bad, base = random.binomial(trials, 0.015, 40), random.binomial(trials, 0.003, 40)
        for name, policy in (("trials", TRIALS), ("steps", PROOF)):
            took[name].append(15.0 * (rolled_back(policy, bad, base, trials) or math.inf))
    information = 0.015 * math.log(1.5) + 0.985 * math.log(0.985 / 0.99)
    limit_s = math.log(1 / PROOF.alpha) / information / 100
    assert np.median(took["trials"]) <= 2 * limit_s + 15
    assert np.median(took["steps"]) > 2 * limit_s + 15


def test_weights_of_fractions_are_part_of_the_definition() -> None:
    """The e-value is the weighted sum over the fractions; weights that are none are refused."""
    running = EProcess(StartWeights(1, 1), BREACH_WEIGHTS)
    running.advance(0.03, LIMIT)
    expected = math.fsum(weight * (1 + c * 2) for weight, c in zip(BREACH_WEIGHTS, FRACTIONS, strict=True))
    assert running.log_e == pytest.approx(math.log(expected))
    assert math.fsum(BREACH_WEIGHTS) == pytest.approx(1)
    for wrong in ((1.0,), (0.5,) * len(FRACTIONS)):
        with pytest.raises(ValueError, match="a weight of each fraction"):
            Policy(fraction_weights=wrong)


def test_older_windows_are_replayed_as_they_were_decided() -> None:
    """A header without weights and evidence: equal weights, by steps."""
    raw = json.loads(replace(SETUP, policy=replace(SETUP.policy, breach_evidence="trials")).dumps())
    assert Setup.loads(json.dumps(raw)).policy == replace(SETUP.policy, breach_evidence="trials")
    for key in ("fraction_weights", "breach_evidence"):
        del raw["policy"][key]
    assert Setup.loads(json.dumps(raw)).policy == replace(SETUP.policy, fraction_weights=EQUAL_WEIGHTS)
    assert asdict(Policy())["breach_evidence"] == "steps"
