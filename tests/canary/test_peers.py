"""The benchmark's ports of other gates' rules, on cases worked out by hand, and its fast form of ours."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray

np = pytest.importorskip("numpy", reason="the benchmark's dependency is not installed")
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import gate_peers as peers  # noqa: E402 - after the check that numpy is there
import gate_power  # noqa: E402
import gate_traces  # noqa: E402

STRICT = np.array([True])


def minutes(*failed: int, length: int = 26) -> NDArray[bool_]:
    """Return one window of one metric that fails in the given minutes (from 1)."""
    window: NDArray[bool_] = np.zeros((1, 1, length), dtype=bool)
    window[0, 0, [minute - 1 for minute in failed]] = True
    return window


@pytest.mark.parametrize(
    ("limit", "outcome", "minute"), [(0, peers.ROLLBACK, 3), (1, peers.ROLLBACK, 7), (2, peers.PROMOTE, 20)]
)
def test_argo_counts_failures_over_the_whole_run(limit: int, outcome: int, minute: int) -> None:
    """More failures than the limit, consecutive or not; what comes after the last minute does not count."""
    verdicts = peers.argo(minutes(3, 7, 21), limit)
    assert (verdicts.outcome[0], verdicts.minute[0]) == (outcome, minute)


def test_flagger_acts_one_round_later_and_repeats_failed_rounds() -> None:
    """Rollback at the beginning of the next round; each failed round delays the promotion by one."""
    rolled = peers.flagger(minutes(3, 7), 2)
    assert (rolled.outcome[0], rolled.minute[0]) == (peers.ROLLBACK, 8)
    promoted = peers.flagger(minutes(3, 7), 3)
    assert (promoted.outcome[0], promoted.minute[0]) == (peers.PROMOTE, 22)


def test_an_empty_minute_fails_and_the_limit_itself_only_where_strict() -> None:
    """NaN is not below the limit; Argo's `<` breaks at the limit, Flagger's threshold does not."""
    bad, trials = np.array([[[0, 1, 1]]]), np.array([[[0, 100, 101]]])
    assert peers.failed_minutes(bad, trials, np.array([0.01]), STRICT).tolist() == [[[True, True, False]]]
    assert peers.failed_minutes(bad, trials, np.array([0.01]), ~STRICT).tolist() == [[[True, False, False]]]


def test_kayenta_agrees_with_a_direct_search_for_the_interval() -> None:
    """The shortcut (score at a quarter of the estimate) classifies as root finding over all shifts does."""
    random = np.random.default_rng(5)
    canary = random.poisson(3, (200, 1, 12)) * 0.1
    baseline = random.poisson(random.choice([1, 3], (200, 1, 1)), (200, 1, 12)) * 0.1
    fast = peers.kayenta(canary, baseline, (12,)).outcome == peers.ROLLBACK
    direct = [_high(canary[i, 0], baseline[i, 0]) for i in range(200)]
    assert fast.tolist() == direct
    assert 0 < sum(direct) < 200


def test_the_fast_form_of_our_rule_decides_as_the_library() -> None:
    """A window of a few cells, under every policy of the benchmark."""
    for cell in gate_traces.cells()[::11]:
        traces = gate_traces.simulate(cell, 1, 15.0, seed=1)
        gate_power.self_check(cell, traces, 15.0, 1)


def test_a_simulation_can_be_repeated() -> None:
    """Same seed, same windows; another seed, others."""
    cell = gate_traces.cells()[0]
    first, again, other = (gate_traces.simulate(cell, 3, 15.0, seed) for seed in (1, 1, 2))
    assert (first.bad == again.bad).all()
    assert (first.trials != other.trials).any()


def _high(canary: NDArray[float64], baseline: NDArray[float64]) -> bool:
    """Search a fine grid of shifts for the lower end of the interval, scoring with average ranks."""
    x, y = canary, baseline
    if (np.sort(x) == np.sort(y)).all():
        return False
    estimate = np.median(np.subtract.outer(x, y))
    shifts = np.arange(x.min() - y.max(), x.max() - y.min(), 0.0037)
    scores = np.array([_score(x - shift, y) for shift in shifts])
    inside = shifts[scores <= peers.QUANTILE]
    return bool(inside.min() > 0.25 * abs(estimate)) if scores[0] > peers.QUANTILE else False


def _score(x: NDArray[float64], y: NDArray[float64]) -> float:
    pooled = np.round(np.concatenate([x, y]), 9)
    below = (pooled[:, None] > pooled[None, :]).sum(axis=1)
    equal = (pooled[:, None] == pooled[None, :]).sum(axis=1)
    ranks = below + (equal + 1) / 2
    size = len(x)
    excess = ranks[:size].sum() - size * (size + 1) / 2 - size * size / 2
    _, ties = np.unique(pooled, return_counts=True)
    spread = (2 * size + 1) - (ties**3 - ties).sum() / (2 * size * (2 * size - 1))
    return float((excess - np.sign(excess) * 0.5) / np.sqrt(size * size / 12 * spread))
