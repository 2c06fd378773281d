"""The arithmetic of the gate: bounds, monotonicity, error rates, and its definition in exact fractions."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.canary.e_process import (
    FRACTIONS,
    EProcess,
    EProcessState,
    StartWeights,
    log_e_below,
    log_sum_exp,
    trials_to_prove,
    upper_bound,
)

STARTS = StartWeights(horizon=80, spacing=4)
LIMITS = st.floats(0.001, 0.9)


def steps(longest: int = 40) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Draw steps of (bad, trials), some of them empty."""
    one = st.integers(0, 200).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))
    return st.lists(one, min_size=1, max_size=longest)


def evidence(counts: list[tuple[int, int]], limit: float, starts: StartWeights = STARTS) -> EProcessState:
    """Feed all steps."""
    found = EProcessState(limit, starts)
    for bad, trials in counts:
        found.advance(bad, trials)
    return found


def e_value_by_definition(counts: list[tuple[int, int]], limit: Fraction, starts: StartWeights) -> Fraction:
    """Return issue 3's formula term by term, in exact arithmetic: starts x fractions products over the steps."""
    later = list(range(starts.spacing, starts.horizon, starts.spacing))
    first = Fraction(1, 2) if later else Fraction(1)
    weights = {0: first} | {start: Fraction(1, 2) / len(later) for start in later}
    total = Fraction(0)
    for start, weight in weights.items():
        products = []
        for fraction in (Fraction(str(one)) for one in FRACTIONS):
            product = Fraction(1)
            for bad, trials in counts[start:]:
                if trials:
                    product *= 1 + fraction / limit * (Fraction(bad, trials) - limit)
            products.append(product)
        total += weight * sum(products) / len(products)
    return total


@given(steps(30), st.sampled_from(["0.005", "0.01", "0.05", "0.8"]), st.integers(1, 30), st.integers(1, 10))
def test_the_e_value_equals_its_definition(
    counts: list[tuple[int, int]], limit: str, horizon: int, spacing: int
) -> None:
    """One sum per fraction gives what the sum over starts and fractions gives in exact arithmetic."""
    starts = StartWeights(horizon, spacing)
    exact = e_value_by_definition(counts, Fraction(limit), starts)
    assert evidence(counts, float(limit), starts).log_e_breach == pytest.approx(_log(exact), abs=1e-8)


@given(steps(), LIMITS)
def test_peak_is_the_highest_of_all_steps(counts: list[tuple[int, int]], limit: float) -> None:
    """What was proven once stays proven."""
    running = EProcessState(limit, STARTS)
    highest = 0.0
    for bad, trials in counts:
        running.advance(bad, trials)
        highest = max(highest, running.log_e_breach)
        assert running.peak_log_e_breach == pytest.approx(highest)


@given(steps(), LIMITS, st.data())
def test_one_more_bad_never_lowers_the_evidence_of_a_breach(
    counts: list[tuple[int, int]], limit: float, data: st.DataObject
) -> None:
    """A worse canary is never harder to roll back, and never easier to promote."""
    which = data.draw(st.integers(0, len(counts) - 1))
    bad, trials = counts[which]
    worse = [*counts]
    worse[which] = (min(bad + 1, trials), trials)
    before, after = evidence(counts, limit), evidence(worse, limit)
    assert after.log_e_breach >= before.log_e_breach - 1e-9
    assert log_e_below(after.bad, after.trials, limit) <= log_e_below(before.bad, before.trials, limit) + 1e-9


@given(steps(), LIMITS)
def test_empty_steps_change_nothing(counts: list[tuple[int, int]], limit: float) -> None:
    """A step without trials is no evidence in either direction."""
    before = evidence(counts, limit, StartWeights(1, 1))
    after = evidence([item for step in counts for item in (step, (0, 0))], limit, StartWeights(1, 1))
    assert after.log_e_breach == pytest.approx(before.log_e_breach)
    assert after.log_e_below() == pytest.approx(before.log_e_below())


@given(st.integers(1, 500), st.integers(1, 50))
def test_weights_add_up_to_one(horizon: int, spacing: int) -> None:
    """A total above one would break the guarantee; one below would waste power."""
    starts = StartWeights(horizon, spacing)
    assert math.fsum(map(starts.weight, range(horizon + 100))) == pytest.approx(1.0)
    assert EProcess(starts).log_e == 0.0


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.001, 0.5), st.floats(1, 20))
def test_upper_bound_is_where_the_proof_begins(bad: int, good: int, beta: float, dispersion: float) -> None:
    """Limits above the bound are proven not to be reached, those below are not; the share lies below."""
    trials = bad + good
    bound = upper_bound(bad, trials, beta, dispersion)
    assert 0 < bound <= 1
    assert not trials or bad / trials <= bound
    needed = -math.log(beta)
    if bound < 0.999:
        assert log_e_below(bad, trials, bound * 1.001, dispersion) >= needed
        assert log_e_below(bad, trials, bound * 0.999, dispersion) < needed


@given(st.floats(0, 0.2), st.floats(0.005, 0.5), st.floats(1, 10))
def test_trials_to_prove_is_the_least_number(share: float, limit: float, dispersion: float) -> None:
    """The number shown to a person is enough, and one fewer is not; at or above the limit there is none."""
    number = trials_to_prove(share, limit, 0.05, dispersion)
    if number is None:
        assert share > 0.9 * limit
        return
    assert log_e_below(share * number, number, limit, dispersion) >= -math.log(0.05)
    assert log_e_below(share * (number - 1), number - 1, limit, dispersion) < -math.log(0.05)


def test_dispersion_grows_with_bursts() -> None:
    """Bad ones that come together count for less; evenly spread ones count whole."""
    assert evidence([(2, 100)] * 20, 0.05).dispersion == 1.0
    bursts = evidence([(40, 100), *[(0, 100)] * 19], 0.05)
    assert bursts.dispersion == pytest.approx(_pearson(bursts.steps))
    assert bursts.log_e_below() < log_e_below(bursts.bad, bursts.trials, 0.05)


def test_no_overflow_at_a_billion_requests() -> None:
    """Huge counts give finite logs and sane bounds."""
    found = evidence([(500_000_000, 1_000_000_000)] * 80, 0.01)
    assert math.isfinite(found.log_e_breach)
    assert found.log_e_below() < -1e6
    assert upper_bound(3_000_000, 1_000_000_000, 0.05) == pytest.approx(0.003, rel=0.02)
    assert log_sum_exp([-1e300, 1e300]) == 1e300
    assert log_sum_exp([]) == -math.inf


@pytest.mark.parametrize(("bad", "trials"), [(2, 1), (-1, 5), (0, math.inf), (math.nan, 5), (1, math.nan), (0, -1)])
def test_impossible_counts_are_refused(bad: float, trials: float) -> None:
    """More bad ones than trials, NaN and infinity never enter the arithmetic."""
    with pytest.raises(ValueError, match="bad <= trials"):
        EProcessState(0.01, STARTS).advance(bad, trials)


@pytest.mark.parametrize("limit", [0.0, 1.0, -0.1, math.nan])
def test_limits_that_decide_nothing_are_refused(limit: float) -> None:
    """A limit of 0 % or 100 % cannot be tested against."""
    with pytest.raises(ValueError, match="limit in"):
        EProcessState(limit, STARTS)


@pytest.mark.parametrize("burst", [1, 10], ids=["steady", "bursts"])
def test_false_rollbacks_stay_below_alpha(burst: int) -> None:
    """At the very limit, read after every step, a breach is proven at most alpha of the time."""
    generator = random.Random(7)  # noqa: S311 - a simulation
    alpha, limit, windows = 0.05, 0.01, 300
    rejected = 0
    for _ in range(windows):
        running = EProcess(STARTS)
        for _ in range(80):
            rate = limit * burst if generator.random() < 1 / burst else 0.0
            running.advance(sum(generator.random() < rate for _ in range(60)) / 60, limit)
        rejected += running.peak >= -math.log(alpha)
    assert rejected / windows <= alpha + 2 * math.sqrt(alpha * (1 - alpha) / windows)


def test_false_proofs_of_health_stay_below_beta() -> None:
    """At the very limit, read after every step, health is proven at most beta of the time."""
    generator = random.Random(11)  # noqa: S311 - a simulation
    beta, limit, windows = 0.05, 0.05, 400
    proven = 0
    for _ in range(windows):
        running = EProcessState(limit, STARTS)
        for _ in range(40):
            running.advance(sum(generator.random() < limit for _ in range(40)), 40)
            if running.log_e_below() >= -math.log(beta):
                proven += 1
                break
    assert proven / windows <= beta + 2 * math.sqrt(beta * (1 - beta) / windows)


def test_a_regression_in_mid_window_is_found() -> None:
    """The later starts begin at 1: the good minutes before do not count against them."""
    counts = [(0, 150)] * 40 + [(15, 150)] * 8
    assert evidence(counts, 0.01).log_e_breach > -math.log(0.05 / 6)
    assert evidence(counts, 0.01, StartWeights(1, 1)).log_e_breach < 0.5


def _log(exact: Fraction) -> float:
    shift = exact.numerator.bit_length() - exact.denominator.bit_length()
    scaled = exact / Fraction(2) ** shift
    return math.log(scaled) + shift * math.log(2)


def _pearson(counts: list[tuple[float, float]]) -> float:
    share = sum(bad for bad, _ in counts) / sum(trials for _, trials in counts)
    terms = ((bad - trials * share) ** 2 / (trials * share * (1 - share)) for bad, trials in counts)
    return math.fsum(terms) / (len(counts) - 1)
