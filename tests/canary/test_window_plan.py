"""Plan of a window: the gate's own watch needs as long, and finds what was foreseen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opsverify.canary.assessment import CriterionState
from opsverify.canary.policy import Policy
from opsverify.canary.window_plan import CriterionPlan, observed_before, plan_of, smallest_found
from opsverify.cli.gate_plan import planned_lines
from opsverify.config.model import PrometheusConfig
from opsverify.probes.prometheus import Prometheus
from tests.canary.cluster import START, Cluster, pods, serving
from tests.canary.situations import GOOD
from tests.support.http_double import ANSWER_WITHIN_S

BACK_S = 900.0


def planned(rate: float = 100.0, errors: float = GOOD) -> CriterionPlan:
    """The plan for a canary of 10 % beside a baseline with this traffic, read over HTTP."""
    world = Cluster(pods(5, "baseline"), 5, {"canary": 0.0, "baseline": rate}, {"canary": 0.0, "baseline": errors})
    at = START + BACK_S
    world.now = at
    policy = Policy()
    setup = replace(world.setup, start=at - BACK_S, policy=replace(policy, shortest_s=15, longest_s=BACK_S))
    with serving(world) as url, Prometheus(PrometheusConfig(url=url, timeout_s=ANSWER_WITHIN_S)) as prometheus:
        steps = observed_before(prometheus, setup, BACK_S, at, 1.5)
    (found,) = plan_of(setup, steps, 0.1, policy)
    return found


def test_the_baselines_rate_and_share_are_measured() -> None:
    """A tenth of 100 requests/s with 0.3 % errors, as simulated."""
    found = planned()
    assert found.rate == pytest.approx(10, rel=0.05)
    assert found.share == pytest.approx(GOOD, rel=0.3)
    assert 1 <= found.dispersion < 2


def test_the_foreseen_time_is_that_of_the_gate() -> None:
    """Half of the canaries like the baseline are proven within a third of the foreseen time, earlier or later."""
    found = planned()
    assert found.prove_s is not None
    times = []
    for seed in range(9):
        world = Cluster([*pods(3), *pods(5, "baseline")], seed, policy=Policy(shortest_s=15))
        watch = world.watch()
        assert watch.assessment("error_rate").state is CriterionState.BELOW_PROVEN
        times.append(watch.elapsed_s)
    assert sorted(times)[4] == pytest.approx(found.prove_s, rel=0.5)


def test_the_foreseen_regression_is_found() -> None:
    """The gate rolls a canary back that fails as often as was foreseen to be found."""
    found = planned()
    assert found.found is not None
    assert 0.01 < found.found < 0.03
    outcomes = [
        Cluster([*pods(3), *pods(5, "baseline")], seed, errors={"canary": found.found, "baseline": GOOD})
        .watch()
        .decision.outcome.value
        for seed in range(8)
    ]
    assert outcomes.count("rollback") >= 6


def test_a_baseline_at_its_limit_proves_nothing() -> None:
    """Too close to the limit: no window is long enough, and that is said."""
    found = planned(errors=0.012)
    assert found.prove_s is None
    assert any("no window proves" in line for line in planned_lines([found], Policy()))


def test_no_traffic_proves_nothing() -> None:
    """Without trials of the baseline nothing is foreseen."""
    found = planned(rate=0.0)
    assert (found.share, found.prove_s, found.found) == (None, None, None)
    assert any("nothing can be proven" in line for line in planned_lines([found], Policy()))


@pytest.mark.parametrize("rate", [1.0, 10.0, 100.0])
def test_more_traffic_finds_smaller_regressions(rate: float) -> None:
    """And bursts hide them."""
    policy = Policy()
    one, ten = (smallest_found(times * rate, 0.01, 1.0, policy, 6) for times in (1, 10))
    burst = smallest_found(rate, 0.01, 8.0, policy, 6)
    assert one is not None
    assert ten is not None
    assert ten < one
    assert burst is None or burst > one
