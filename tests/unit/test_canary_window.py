"""The canary's window as the checks read it: rates, shares and cost, or why there are none."""

from __future__ import annotations

import pytest

from opsverify import Criterion, Inconclusive
from opsverify.canary import P95_SLOWER, CanaryWindow
from opsverify.gate.observation import Observation, Step
from opsverify.gate.observe import WITHIN_LIMIT
from opsverify.target import Limits, Signals

MOMENTS = [float(at) for at in range(0, 61, 10)]


def grown(by: float, labels: str = "code=200") -> dict[str, dict[float, float]]:
    """A series that grows evenly by `by` over the window."""
    return {labels: {at: 100 + by * at / 60 for at in MOMENTS}}


def window(
    canary: dict[str, object], baseline: dict[str, object] | None = None, alerts: tuple[str, ...] = ()
) -> CanaryWindow:
    """A window of 60 s."""
    steps = (Step(60.0, None, {"canary": canary, "baseline": baseline or {}}, alerts),)
    return CanaryWindow(Observation(0.0, 60.0, 10.0, steps), Limits(), Signals())


def criterion(bad: str, trials: str, limit: str, *, inverse: bool = False) -> Criterion:
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
    )


ERRORS = criterion("request_errors", "requests", "error_rate")


def test_rate() -> None:
    """Bad ones out of trials, in words with the count."""
    rate = window({"requests": grown(1000), "request_errors": grown(20, "code=500")}).rate(ERRORS)
    assert rate.share == pytest.approx(0.02)
    assert (rate.trials, rate.in_words) == (1000, "of 1,000 requests failed")
    assert not rate.limit.holds(rate.share)


def test_inverse_rate() -> None:
    """Where the limit is on the good ones, the share is theirs."""
    hits = criterion("cache_misses", "cache_lookups", "cache_hit_rate", inverse=True)
    rate = window(
        {"requests": grown(5), "cache_lookups": grown(100), "cache_misses": grown(70, "outcome=miss")}
    ).rate(hits)
    assert rate.share == pytest.approx(0.3)


def test_p95_counts_slow_ones() -> None:
    """p95 below the limit means fewer than 5 % slower: counted in the limit's bucket."""
    slow = criterion("slow_judgments", "durations", "judgment_p95")
    rate = window({"requests": grown(5), "durations": grown(1000), WITHIN_LIMIT: grown(960, "le=1.5")}).rate(
        slow
    )
    assert rate.share == pytest.approx(0.04)
    assert rate.limit is P95_SLOWER
    assert "1.5s" in rate.in_words


def test_no_failure_series_means_none_failed() -> None:
    """Clients export a label value only once it happened: no failed series beside labelled trials is zero."""
    assert window({"requests": grown(1000)}).rate(ERRORS).share == 0.0


@pytest.mark.parametrize(
    ("canary", "said"),
    [
        ({"requests": grown(1000, "status=200")}, "request_errors of the canary: no such series"),
        ({}, "only 0% of the window was observed, >= 90% needed: the canary sent no samples"),
        ({"requests": {"code=200": {0.0: 1.0, 10.0: 2.0}}}, "of the window was observed"),
        (
            {"requests": {"code=200": {at: float("nan") for at in MOMENTS}}},
            "requests of the canary: a counter is NaN",
        ),
    ],
    ids=["misspelled label", "no data", "holes", "NaN"],
)
def test_no_answer_is_inconclusive(canary: dict[str, object], said: str) -> None:
    """Misspelled labels, missing series, holes and NaN never become zero failures."""
    with pytest.raises(Inconclusive, match=said):
        window(canary).rate(ERRORS)


def test_no_trials_is_no_share() -> None:
    """Nothing happened: the share is no number, which no limit holds."""
    rate = window({"requests": grown(0), "request_errors": grown(0, "code=500")}).rate(ERRORS)
    assert rate.share != rate.share
    assert rate.trials == 0


def test_traffic_share() -> None:
    """The canary's part of all requests."""
    share = window({"requests": grown(150)}, {"requests": grown(850)}).traffic_share()
    assert share.share == pytest.approx(0.15)
    assert share.trials == 1000
    with pytest.raises(Inconclusive, match="no traffic at all"):
        window({"requests": grown(0)}, {"requests": grown(0)}).traffic_share()


def test_cost_growth() -> None:
    """Cost per judgment over cost per judgment, so that the canary's small share does not matter."""
    cost = window(
        {"requests": grown(100), "llm_cost": grown(3)}, {"requests": grown(900), "llm_cost": grown(18)}
    ).cost_growth()
    assert cost.growth == pytest.approx(1.5)
    assert (cost.canary_judgments, cost.baseline_judgments) == (100, 900)
    free = window(
        {"requests": grown(100), "llm_cost": grown(3)}, {"requests": grown(900), "llm_cost": grown(0)}
    ).cost_growth()
    assert free.growth != free.growth


def test_alerts() -> None:
    """An alert that fired counts even with holes; none counts only in an observed window."""
    assert window({}, alerts=("Hot",)).fired_alerts() == ("Hot",)
    assert window({"requests": grown(5)}).fired_alerts() == ()
    with pytest.raises(Inconclusive):
        window({}).fired_alerts()
