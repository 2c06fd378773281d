"""The watched window, step by step: when it ends, and with what."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsverify.canary.criterion import Criterion as Row
from opsverify.canary.decision import SHARED_BREACH, GateOutcome
from opsverify.canary.observation import ObservedStep
from opsverify.canary.policy import Policy
from opsverify.canary.watch import GateWatch
from opsverify.canary.window import CanaryWindow
from opsverify.canary.window_setup import LATER_SETTINGS, Setup
from opsverify.config.limits import Limits
from opsverify.errors import EvidenceError, Inconclusive
from opsverify.language.message import say
from tests.canary.made_steps import ERRORS, ONE, OTHER, START, watched

FIRST_SETTINGS = {
    "shortest_s", "longest_s", "step_s", "alpha", "beta", "min_coverage", "end_rule", "on_shared_breach",
    "on_worse_than_baseline", "breach_evidence", "fraction_weights", "warm_up_s", "restarts", "alert_grace_s",
    "shared_grace_s", "excuse_rollback_only",
}  # fmt: skip
"""Settings of the first windows of rule 3."""
POLICY = Policy()


def test_a_good_canary_is_promoted_at_the_shortest_window() -> None:
    """Ten minutes when the evidence is clear; the shares are those that were fed."""
    watch = watched(lambda number: (number % 3 == 0, 150))
    assert (watch.decision.outcome, watch.decision.proven) == (GateOutcome.PROMOTE, True)
    assert watch.elapsed_s == POLICY.shortest_s
    assessment = watch.assessment("error_rate")
    assert (assessment.bad, assessment.trials) == (13, 6000)
    assert watch.traffic_share == pytest.approx(0.2)


def test_a_regression_in_mid_window_is_found_before_the_end() -> None:
    """Five good minutes, then 5 %: rolled back within two minutes, though the whole window measures less."""
    watch = watched(lambda number: (0, 150) if number <= 20 else (8, 150))
    assert (watch.decision.outcome, watch.decision.proven) == (GateOutcome.ROLLBACK, True)
    assert 300 < watch.elapsed_s <= 420


def test_an_unclear_canary_is_watched_to_the_end_and_promoted_as_not_proven() -> None:
    """The literal rule: measured within on enough samples, with the bound that was reached."""
    watch = watched(lambda _number: (1, 110))
    assert (watch.decision.outcome, watch.decision.proven) == (GateOutcome.PROMOTE, False)
    assert watch.elapsed_s == POLICY.longest_s
    assert "not proven, upper bound" in watch.decision.reasons[0]


def test_measured_outside_at_the_end_rolls_back() -> None:
    """The literal rule's other side."""
    watch = watched(lambda _number: (1, 99))
    assert (watch.decision.outcome, watch.decision.proven) == (GateOutcome.ROLLBACK, False)
    assert watch.elapsed_s == POLICY.longest_s


@pytest.mark.parametrize("counts", [(1, 99), (1, 110)], ids=["outside", "within"])
def test_end_rule_proof_holds_at_the_end(counts: tuple[int, int]) -> None:
    """`end_rule = "proof"`."""
    watch = watched(lambda _number: counts, Policy(end_rule="proof"))
    assert watch.decision.outcome is GateOutcome.HOLD
    assert watch.elapsed_s == POLICY.longest_s


@pytest.mark.parametrize(("choice", "outcome"), [("rollback", GateOutcome.ROLLBACK), ("hold", GateOutcome.HOLD)])
def test_a_shared_breach_is_attributed(choice: str, outcome: GateOutcome) -> None:
    """The baseline breaks the limit as well: the reason names it, the target decides what follows."""
    watch = watched(lambda _n: (15, 150), replace(POLICY, on_shared_breach=choice), baseline=(60, 600))  # type: ignore[arg-type]
    assert watch.decision.outcome is outcome
    assert SHARED_BREACH in watch.decision.reasons[0]
    assert watch.elapsed_s < POLICY.shortest_s


def test_an_alert_ends_the_window() -> None:
    """At once, whatever is proven."""
    watch = watched(lambda _n: (0, 150), alert_at=3)
    assert watch.decision.outcome is GateOutcome.ROLLBACK
    assert watch.elapsed_s == 45


def test_clocks_apart_hold() -> None:
    """Prometheus' clock and this machine's must agree."""
    watch = watched(lambda _n: (0, 150), skew_s=-120.0)
    assert watch.decision.outcome is GateOutcome.HOLD
    assert "clock skew" in watch.decision.reasons[0]


def test_samples_received_twice_change_nothing() -> None:
    """The same samples in two steps count once."""
    watch = GateWatch(Setup(start=START, policy=POLICY, counted=(ERRORS,)))
    samples = {"canary": {"requests": {"code=200,instance=a:1": {START + 1: 5.0}}}}
    for _ in range(3):
        watch.advance(ObservedStep(START + 2, None, samples))
    assert watch.assessment("error_rate").trials == 0


def test_a_series_that_every_look_sees_one_scrape_late_hides_nothing_more() -> None:
    """Its query was answered before Prometheus had stored the latest scrape, every time: the series goes on."""
    watch = GateWatch(Setup(start=START, policy=POLICY, counted=(ERRORS,), skew_s=0.0))
    step_s = POLICY.step_s
    failed_before = {START - 2 * step_s: 0.0, START - step_s: 500.0}
    for number in range(int(POLICY.shortest_s / step_s) + 1):
        at, late = START + number * step_s, START + (number - 1) * step_s
        samples = {}
        for scope, one in (("canary", ONE), ("baseline", OTHER)):
            good = {f"code=200,{one}": {at: 1e5 + 300 * number}}
            bad = {f"code=500,{one}": {late: 500.0} if number else failed_before}
            samples[scope] = {"requests": good | bad, "request_errors": bad}
        watch.advance(ObservedStep(at, None, samples, ()))
    assert (watch.decision.outcome, watch.decision.proven) == (GateOutcome.PROMOTE, True), watch.decision.reasons
    assert watch.assessment("error_rate").unseen.bad == 0


def test_a_setup_survives_its_header() -> None:
    """A replay has everything it needs; another file is refused."""
    setup = Setup(start=START, policy=POLICY, counted=(ERRORS,), selectors={"canary": {"requests": "r{}"}}, skew_s=0.1)
    assert Setup.loads(setup.dumps()) == setup
    for other in ("", "{}", "[]", '{"schema": "other"}'):
        with pytest.raises(EvidenceError, match="header"):
            Setup.loads(other)


def test_every_setting_was_there_from_the_beginning_or_is_a_later_one() -> None:
    """A setting that is added decides windows of before anew, unless their replay is told how it was without it."""
    assert {field.name for field in fields(Policy)} == FIRST_SETTINGS | LATER_SETTINGS.keys()


@pytest.mark.parametrize("setting", LATER_SETTINGS)
def test_a_setup_of_before_has_not_what_came_later(setting: str) -> None:
    """A replay of an old file counts as its window was counted."""
    header = json.loads(Setup(start=START, policy=POLICY, counted=(ERRORS,)).dumps())
    assert header["policy"].pop(setting)
    assert not getattr(Setup.loads(json.dumps(header)).policy, setting)


def test_without_criteria_nothing_is_watched() -> None:
    """A gate without criteria would promote anything."""
    with pytest.raises(ValueError, match="without criteria"):
        GateWatch(Setup(start=START, policy=POLICY, counted=()))


ROWS = tuple(
    Row(name=name, line="8/errors", bad=name, trials="requests", limit=limit, counted="bad", ko="ko", en="en")
    for name, limit in (("error_rate", "error_rate"), ("mcp_timeouts", "mcp_timeout_rate"))
)
SHARES = st.sampled_from([0, 0, 0.002, 0.009, 0.011, 0.03, 0.2])


@settings(max_examples=40)
@given(
    st.tuples(SHARES, SHARES, SHARES),
    st.sampled_from([2, 20, 150]),
    st.sampled_from(["literal", "proof"]),
    st.sampled_from(["rollback", "hold"]),
    st.sampled_from(["note", "hold", "rollback"]),
    st.none() | st.integers(0, 60),
)
def test_the_checks_together_agree_with_the_gate(
    shares: tuple[float, float, float], trials: int, end_rule: str, shared: str, worse: str, alert_at: int | None
) -> None:
    """However a window ends, the outcomes of its checks add up to the decision by which it ended."""
    failing, timing_out, base = shares
    watch = watched(
        lambda number: (round(failing * trials * number) - round(failing * trials * (number - 1)), trials),
        Policy(
            end_rule=end_rule,  # type: ignore[arg-type]
            on_shared_breach=shared,  # type: ignore[arg-type]
            on_worse_than_baseline=worse,  # type: ignore[arg-type]
            step_s=30,
        ),
        baseline=(base * 600, 600),
        calls=(timing_out * trials, trials),
        alert_at=alert_at,
    )
    window = CanaryWindow(watch, Limits())
    outcomes = set()
    for row in ROWS:
        try:
            outcomes.add("pass" if window.judged(row).holds else "fail")
        except Inconclusive:
            outcomes.add("inconclusive")
    try:
        outcomes.add("fail" if window.fired_alerts() else "pass")
    except Inconclusive:
        outcomes.add("inconclusive")
    expected = {"fail": GateOutcome.ROLLBACK} if "fail" in outcomes else {"inconclusive": GateOutcome.HOLD}
    verdict = next((expected[one] for one in expected if one in outcomes), GateOutcome.PROMOTE)
    assert verdict is watch.decision.outcome, (outcomes, watch.decision)


def test_a_signal_that_stopped_measures_no_traffic_share() -> None:
    """Metrics that are gone are no sign that the canary takes no traffic: that would be a false rollback."""
    watch = GateWatch(Setup(start=START, policy=Policy(shortest_s=30, longest_s=60, step_s=5), counted=(ERRORS,)))
    for number in range(13):
        at = START + 5.0 * number
        counters, stable = ({"requests": {f"code=200,{one}": {at: 900.0 * number}}} for one in (ONE, OTHER))
        cost, stable_cost = ({"llm_cost": {one: {at: 1.0 * number}}} for one in (ONE, OTHER))
        lost = {} if number > 2 else counters
        watch.advance(ObservedStep(at, None, {"canary": lost | cost, "baseline": stable | stable_cost}))
    window = CanaryWindow(watch, Limits())
    with pytest.raises(Inconclusive, match=r"no further samples of the canary's requests|stale series requests"):
        window.traffic_share()
    with pytest.raises(Inconclusive, match=r"no further samples of the canary's requests|stale series requests"):
        window.cost_growth()
    assert watch.decision.outcome is GateOutcome.HOLD


def test_steps_with_one_cause_are_one_gap() -> None:
    """Five queries that one Prometheus refused, each with a text and times of its own, are one reason."""
    watch = watched(lambda _number: (0, 0))
    for number in range(5):
        fault = say("{source}{detail}", source="Prometheus refuses", detail=f", query at {number}")
        watch.advance(ObservedStep(watch.at + 1, fault))
    assert watch.faults == ("Prometheus refuses",)
