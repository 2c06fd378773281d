"""The canary's window as the checks read it: criteria, shares and cost, or why there are none."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from opsverify import Criterion, Inconclusive
from opsverify.canary.observation import ObservedStep
from opsverify.canary.watch import GateWatch
from opsverify.canary.window import CanaryWindow
from opsverify.canary.window_policy import policy_of, setup_of
from opsverify.canary.window_setup import WITHIN_LIMIT
from opsverify.config.limits import Limits
from opsverify.config.model import Canary, Owners, PrometheusConfig, Service, Target

if TYPE_CHECKING:
    from collections.abc import Mapping


MOMENTS = [float(at) for at in range(0, 61, 10)]
WINDOW_S = 60.0


def grown(by: float, labels: str = "code=200") -> dict[str, dict[float, float]]:
    """A series that grows evenly by `by` over the window."""
    return {labels: {at: 100 + by * at / 60 for at in MOMENTS}}


def row(bad: str, trials: str, limit: str, *, inverse: bool = False) -> Criterion:
    """A row of the canary table."""
    return Criterion(
        name="x",
        line="8/errors",
        bad=bad,
        trials=trials,
        limit=limit,
        counted="requests failed",
        ko="x",
        en="x",
        inverse=inverse,
        rollback_only=inverse,
    )


ERRORS = row("request_errors", "requests", "error_rate")


def window(
    canary: Mapping[str, Mapping[str, Mapping[float, float]]],
    baseline: Mapping[str, Mapping[str, Mapping[float, float]]] | None = None,
    alerts: tuple[str, ...] = (),
    criterion: Criterion = ERRORS,
    **policy: Any,  # noqa: ANN401 - keys of [canary]
) -> CanaryWindow:
    """A window of 60 s, watched to its end."""
    target = Target(
        name="t",
        environment="staging",
        owners=Owners(default="me"),
        services={"a": Service(url="http://127.0.0.1:9")},
        prometheus=PrometheusConfig(url="http://127.0.0.1:9"),
        canary=Canary(step="10s", **policy),
    )
    watch = GateWatch(setup_of(target, WINDOW_S, [criterion]))
    # A baseline of its own: the series of the two scopes have their track in common nowhere.
    stable = {
        signal: {f"{key},track=stable": points for key, points in found.items()}
        for signal, found in (baseline or {}).items()
    }
    scopes = {"canary": canary, "baseline": stable}
    for earlier, later in zip([-1.0, *MOMENTS], MOMENTS, strict=False):
        samples = {
            scope: {
                signal: {
                    key: {at: v for at, v in points.items() if earlier < at <= later} for key, points in found.items()
                }
                for signal, found in signals.items()
            }
            for scope, signals in scopes.items()
        }
        watch.advance(ObservedStep(later, None, samples, alerts))
    return CanaryWindow(watch, Limits())


def test_measured_outside() -> None:
    """Bad ones out of trials, in words with the count, and what the gate makes of them."""
    failed = window({"requests": grown(1000), "request_errors": grown(11, "code=500")}).judged(ERRORS)
    assert failed.measured == pytest.approx(0.011)
    assert (failed.samples, failed.limit, failed.holds, failed.proven) == (1000, "< 0.01", False, False)
    assert failed.message.startswith("1.1% of 1,000 requests failed, limit < 1%; measured")


def test_proven_within() -> None:
    """What is proven carries the bound and the evidence."""
    good = window({"requests": grown(3000), "request_errors": grown(3, "code=500")}).judged(ERRORS)
    assert (good.holds, good.proven) == (True, True)
    assert good.upper_bound is not None
    assert good.log_e is not None
    assert 0.001 < good.upper_bound < 0.01
    assert good.log_e > 3
    assert "; proven, upper bound 0." in good.message


def test_the_limit_may_be_on_the_good_ones() -> None:
    """A hit rate is shown as such, limit and bound too."""
    hits = row("cache_misses", "cache_lookups", "cache_hit_rate", inverse=True)
    signals = {"requests": grown(5), "cache_lookups": grown(1000)}
    good = window(signals | {"cache_misses": grown(700, "outcome=miss")}, criterion=hits).judged(hits)
    assert (good.measured, good.limit, good.holds) == (pytest.approx(0.3), ">= 0.2", True)
    assert "limit >= 20%; proven, lower bound 2" in good.message
    bad = window(signals | {"cache_misses": grown(900, "outcome=miss")}, criterion=hits).judged(hits)
    assert (bad.measured, bad.holds) == (pytest.approx(0.1), False)


def test_p95_counts_slow_ones() -> None:
    """p95 below the limit means fewer than 5 % slower: counted in the limit's bucket."""
    slow = row("slow_judgments", "durations", "judgment_p95")
    signals = {"requests": grown(5), "durations": grown(1000), WITHIN_LIMIT: grown(960, "le=1.5")}
    judged = window(signals, criterion=slow).judged(slow)
    assert (judged.measured, judged.limit, judged.holds) == (pytest.approx(0.04), "< 0.05", True)
    assert "(1.5s)" in judged.message


def test_no_failure_series_means_none_failed() -> None:
    """Clients export a label value only once it happened: no failed series with labelled trials is zero."""
    assert window({"requests": grown(1000)}).judged(ERRORS).measured == 0.0


@pytest.mark.parametrize(
    ("canary", "said"),
    [
        ({"requests": grown(1000, "status=200")}, "request_errors: no such series in Prometheus"),
        ({}, "only 0% of 1m was observed, >= 90% needed: empty: no usable samples"),
        ({"requests": {"code=200": {0.0: 1.0, 10.0: 2.0}}}, "was observed, >= 90% needed"),
        ({"requests": {"code=200": dict.fromkeys(MOMENTS, math.nan)}}, "only 0% of 1m was observed"),
        (
            {"requests": grown(50)},
            "0% of 50 requests failed, limit < 1%; 150 more needed of 200; observe longer",
        ),
        ({"requests": grown(0)}, "no trials, limit < 1%; 200 more needed"),
    ],
    ids=["misspelled label", "no data", "gaps", "NaN", "too few", "none"],
)
def test_no_answer_is_inconclusive(canary: dict[str, dict[str, dict[float, float]]], said: str) -> None:
    """Misspelled labels, missing series, gaps, NaN and too few trials never become zero failures."""
    with pytest.raises(Inconclusive, match=said):
        window(canary).judged(ERRORS)


def test_end_rule_proof_needs_a_proof() -> None:
    """With `end_rule = "proof"` measured within is not enough, and measured outside no rollback."""
    for bad in (9, 11):
        signals = {"requests": grown(1000), "request_errors": grown(bad, "code=500")}
        with pytest.raises(Inconclusive, match='end_rule = "proof"'):
            window(signals, end_rule="proof").judged(ERRORS)


def test_traffic_share() -> None:
    """The canary's part of all requests."""
    share = window({"requests": grown(150)}, {"requests": grown(850)}).traffic_share()
    assert share.estimate.value == pytest.approx(0.15)
    assert share.trials == 1000
    with pytest.raises(Inconclusive, match="no traffic in the window"):
        window({"requests": grown(0)}, {"requests": grown(0)}).traffic_share()


def test_cost_growth() -> None:
    """Cost per judgment over cost per judgment, so that the canary's small share does not matter."""
    cost = window(
        {"requests": grown(100), "llm_cost": grown(3)}, {"requests": grown(900), "llm_cost": grown(18)}
    ).cost_growth()
    assert cost.estimate.value == pytest.approx(1.5)
    assert cost.trials == 100
    free = window(
        {"requests": grown(100), "llm_cost": grown(3)}, {"requests": grown(900), "llm_cost": grown(0)}
    ).cost_growth()
    assert math.isnan(free.estimate.value)


def test_alerts() -> None:
    """An alert that fired counts even with gaps; none counts only in an observed window."""
    assert window({}, alerts=("Hot",)).fired_alerts() == ("Hot",)
    assert window({"requests": grown(5)}).fired_alerts() == ()
    with pytest.raises(Inconclusive):
        window({}).fired_alerts()


def test_no_alert_says_nothing_where_none_could_fire() -> None:
    """Without any alerting rule a window is not free of alerts; one that fired says enough."""
    said = "no alert could fire"
    for requests, alerts in (({"requests": grown(5)}, ()), ({"requests": grown(5)}, ("Hot",))):
        watched = replace(window(requests, alerts=alerts), nothing_fires=lambda: said)
        if alerts:
            assert watched.fired_alerts() == alerts
        else:
            with pytest.raises(Inconclusive, match=said):
                watched.fired_alerts()


@pytest.mark.parametrize(
    ("window_s", "shortest_s", "step_s"),
    [(1200, 600, 15), (720, 600, 15), (600, 600, 15), (300, 150, 15), (60, 30, 15), (7, 3.5, 1.75)],
)
def test_the_policy_of_a_window(window_s: float, shortest_s: float, step_s: float) -> None:
    """The runbook's shortest window stands; below it a rehearsal may be promoted from its half on."""
    policy = policy_of(Canary(), Limits(), window_s)
    assert (policy.longest_s, policy.shortest_s, policy.step_s) == (window_s, shortest_s, step_s)
    assert (policy.alpha, policy.beta, policy.end_rule) == (0.05, 0.05, "literal")


@pytest.mark.parametrize("limit", ["> 1 %", "< 0 %", "<= 100 %", "0..1 %", "== 1 %"])
def test_limits_that_nothing_can_prove_are_refused(limit: str) -> None:
    """A canary's limit is one-sided, and neither never nor always."""
    with pytest.raises(ValueError, match="cannot be a canary's limit: expected <"):
        Limits(error_rate=limit)


def test_an_agreed_weight_at_its_edge_is_met() -> None:
    """A weight of exactly 10 % measures below it in half of all windows: chance, not another weight."""
    canary = {"code=200": {at: 100 + 995 * at / 60 + (at // 10 % 2) * 10 for at in MOMENTS}}
    edge = window({"requests": canary}, {"requests": grown(9005)}).judged_share()
    assert edge.measured == pytest.approx(0.0995, rel=1e-3)
    assert edge.holds
    assert "which the agreed weight is within" in edge.message
    assert not window({"requests": grown(500)}, {"requests": grown(9500)}).judged_share().holds
    few = {"code=200": {at: 100.0 + (at > 30) * 9 for at in MOMENTS}}
    with pytest.raises(Inconclusive, match="observe longer"):
        window({"requests": few}, {"requests": grown(100)}).judged_share()


def test_restarts_of_the_canary_are_named() -> None:
    """Which process, and when; the limit judges their number."""
    fell = {"code=200,instance=a:1": {at: 100 + at if at < 30 else at for at in MOMENTS}}
    assert window({"requests": fell}).restarts() == ("a:1 at 00:00:30Z",)
