"""The decision rule: every branch of it, and its reasons as text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.canary.assessment import CriterionState, assess
from opsverify.canary.decision import SHARED_BREACH, GateDecision, GateOutcome, WindowState, decide
from opsverify.canary.policy import GateCriterion, Kind, Policy
from opsverify.canary.progress import Counts, Progress
from opsverify.canary.window_setup import AS_BEFORE

POLICY = Policy()
ERRORS = GateCriterion(name="error_rate", limit=0.01, min_samples=200, counted="requests failed")
TIMEOUTS = GateCriterion(
    name="mcp_timeouts",
    limit=0.05,
    min_samples=200,
    kind=Kind.ROLLBACK_ONLY,
    strict=False,
    counted="calls timed out",
)
SHORTEST, LONGEST = WindowState(600, 1.0), WindowState(1200, 1.0)


def watched(
    counts: list[tuple[int, int]],
    baseline: list[tuple[int, int]] | None = None,
    criterion: GateCriterion = ERRORS,
    policy: Policy = POLICY,
) -> Progress:
    """Feed all steps of canary and baseline."""
    progress = Progress(criterion, policy)
    for canary, base in zip(counts, baseline or [(0, 0)] * len(counts), strict=True):
        progress.advance(Counts(*canary), Counts(*base))
    return progress


def decided(counts: list[tuple[int, int]], moment: WindowState, policy: Policy = POLICY) -> GateDecision:
    """Decide on errors alone."""
    return decide(policy, [watched(counts, policy=policy)], moment)


def test_a_proven_breach_rolls_back_before_the_shortest_window() -> None:
    """A canary that fails one request in ten does not run for ten minutes."""
    decision = decided([(15, 150)] * 6, WindowState(90, 1.0))
    assert decision.outcome is GateOutcome.ROLLBACK
    assert decision.proven
    assert decision.reasons == ("error_rate: 10% of 900 requests failed, limit < 1%",)


def test_a_proven_breach_needs_no_coverage() -> None:
    """What was counted was counted, however much was missed."""
    assert decided([(15, 150)] * 6, WindowState(600, 0.3)).outcome is GateOutcome.ROLLBACK


def test_a_firing_alert_rolls_back_at_once() -> None:
    """An alert outranks every count, and is named."""
    decision = decided([(0, 150)], WindowState(15, 1.0, ("JudgmentErrorRateHigh",)))
    assert decision.outcome is GateOutcome.ROLLBACK
    assert decision.reasons == ("alert JudgmentErrorRateHigh fires on the canary",)


def test_a_clearly_good_canary_is_promoted_at_the_shortest_window_and_not_before() -> None:
    """Ten minutes when the evidence is clear."""
    assert decided([(0, 150)] * 39, WindowState(585, 1.0)).outcome is GateOutcome.CONTINUE
    decision = decided([(0, 150)] * 40, SHORTEST)
    assert (decision.outcome, decision.proven) == (GateOutcome.PROMOTE, True)
    assert "proven, upper bound 0." in decision.reasons[0]


def test_an_unclear_canary_is_observed_longer() -> None:
    """Up to twenty minutes when it is not."""
    assert decided([(1, 110)] * 40, SHORTEST).outcome is GateOutcome.CONTINUE


def test_a_canary_that_turned_bad_lately_is_not_promoted_early() -> None:
    """Eight good minutes do not excuse the last two."""
    counts = [(0, 150)] * 36 + [(4, 150)] * 4
    progress = watched(counts)
    assert assess(progress, POLICY, 1).state is CriterionState.BELOW_PROVEN
    assert decide(POLICY, [progress], SHORTEST).outcome is GateOutcome.CONTINUE


def test_missing_coverage_prevents_early_promotion_and_holds_at_the_end() -> None:
    """What was not observed is not proven."""
    assert decided([(0, 150)] * 40, WindowState(600, 0.89)).outcome is GateOutcome.CONTINUE
    decision = decided([(1, 150)] * 80, WindowState(1200, 0.89))
    assert decision.outcome is GateOutcome.HOLD
    assert decision.reasons == ("89% of the window was observed, limit >= 90%",)


def test_the_literal_rule_at_the_end() -> None:
    """Measured outside: rollback; within but unproven: promotion as not proven."""
    within = decided([(1, 110)] * 80, LONGEST)
    assert (within.outcome, within.proven) == (GateOutcome.PROMOTE, False)
    assert "not proven, upper bound" in within.reasons[0]
    breach = decided([(1, 99)] * 80, LONGEST)
    assert (breach.outcome, breach.proven) == (GateOutcome.ROLLBACK, False)


def test_too_few_samples_hold_with_the_number_that_is_missing() -> None:
    """The reason leads to the next step: send more traffic."""
    decision = decided([(0, 1)] * 80, LONGEST)
    assert decision.outcome is GateOutcome.HOLD
    assert decision.reasons == ("error_rate: 0% of 80 requests failed, limit < 1%; 120 more needed of 200",)


def test_no_trials_at_all_hold() -> None:
    """Emptiness passes nothing."""
    decision = decided([(0, 0)] * 80, LONGEST)
    assert decision.outcome is GateOutcome.HOLD
    assert decision.reasons == ("error_rate: no trials, limit < 1%; 200 more needed of 200",)


@pytest.mark.parametrize("counts", [(1, 99), (1, 110)], ids=["outside", "within"])
def test_the_proof_rule_holds_where_nothing_is_proven(counts: tuple[int, int]) -> None:
    """With this rule there is neither a rollback nor a promotion without proof."""
    policy = Policy(end_rule="proof")
    decision = decided([counts] * 80, LONGEST, policy)
    assert (decision.outcome, decision.proven) == (GateOutcome.HOLD, False)
    assert "not proven" in decision.reasons[0]


def test_the_reason_has_the_number_of_requests_to_a_proof() -> None:
    """A healthy canary with little traffic: the number to wait for."""
    decision = decided([(0, 4)] * 80, LONGEST, Policy(end_rule="proof"))
    assert decision.reasons[0].endswith("about 160 more needed at this share")


def test_a_rollback_only_criterion_never_keeps_from_promoting_for_lack_of_trials() -> None:
    """MCP timeouts within 5 % let the promotion through; so do too few calls, which is said; unknown ones do not."""
    good = watched([(0, 150)] * 40)
    timeouts = watched([(1, 25)] * 40, criterion=TIMEOUTS)
    assert decide(POLICY, [good, timeouts], SHORTEST).outcome is GateOutcome.PROMOTE
    few = watched([(0, 1)] * 40, criterion=TIMEOUTS)
    for moment in (SHORTEST, LONGEST):
        decision = decide(POLICY, [good, few], moment)
        assert decision.outcome is GateOutcome.PROMOTE
        assert decision.reasons[1].endswith("too few to judge (160 more needed of 200): it can only roll back")
    few.fault = "mcp_calls: no such series in Prometheus"
    assert decide(POLICY, [good, few], SHORTEST).outcome is GateOutcome.CONTINUE
    assert decide(POLICY, [good, few], LONGEST).outcome is GateOutcome.HOLD


def test_windows_of_before_still_needed_trials_of_every_criterion() -> None:
    """A replay of an old file decides as its window was decided."""
    before = replace(POLICY, **AS_BEFORE)
    good, unknown = watched([(0, 150)] * 40, policy=before), watched([(0, 0)] * 40, criterion=TIMEOUTS, policy=before)
    assert decide(before, [good, unknown], SHORTEST).outcome is GateOutcome.CONTINUE
    assert decide(before, [good, unknown], LONGEST).outcome is GateOutcome.HOLD


def test_strict_and_lenient_limits() -> None:
    """`< 1 %` is broken at 1 %, `<= 5 %` is not at 5 %."""
    assert not ERRORS.holds(0.01)
    assert TIMEOUTS.holds(0.05)


@pytest.mark.parametrize(
    ("choice", "outcome"), [("rollback", GateOutcome.ROLLBACK), ("hold", GateOutcome.HOLD)], ids=str
)
def test_a_breach_shared_with_the_baseline_is_attributed(choice: str, outcome: GateOutcome) -> None:
    """The reason suspects the environment; what follows is the target's choice."""
    policy = Policy(on_shared_breach=choice)  # type: ignore[arg-type]
    progress = watched([(15, 150)] * 10, [(60, 600)] * 10, policy=policy)
    decision = decide(policy, [progress], WindowState(150, 1.0))
    assert decision.outcome is outcome
    assert decision.reasons[0].endswith(SHARED_BREACH)


def test_a_canary_proven_worse_is_not_excused_by_the_baseline() -> None:
    """Both break the limit, but the canary five times as hard: its own fault."""
    policy = Policy(on_shared_breach="hold")
    progress = watched([(15, 150)] * 20, [(12, 600)] * 20, policy=policy)
    decision = decide(policy, [progress], WindowState(300, 1.0))
    assert decision.outcome is GateOutcome.ROLLBACK
    assert SHARED_BREACH not in decision.reasons[0]


def test_more_criteria_ask_for_more_evidence() -> None:
    """Alpha is shared out, so that six criteria together err no more often than one."""
    counts = [(15, 150)] * 2
    alone = decide(POLICY, [watched(counts)], WindowState(30, 1.0))
    six = decide(POLICY, [watched(counts), *[watched([(0, 150)] * 2)] * 5], WindowState(30, 1.0))
    assert (alone.outcome, six.outcome) == (GateOutcome.ROLLBACK, GateOutcome.CONTINUE)


@given(
    st.lists(
        st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
        min_size=1,
        max_size=80,
    ),
    st.floats(0, 1),
)
def test_every_window_ends_in_a_decision_with_a_reason(counts: list[tuple[int, int]], covered: float) -> None:
    """The longest window always ends in a decision; before it only proofs do; each decision has a reason."""
    decision = decided(counts, WindowState(1200, covered))
    assert decision.outcome is not GateOutcome.CONTINUE
    assert decision.reasons
    early = decided(counts, WindowState(300, covered))
    assert early.outcome is GateOutcome.CONTINUE or early.proven
    if decision.outcome is GateOutcome.PROMOTE:
        assessment = decision.assessments[0]
        assert assessment.trials >= 200
        assert ERRORS.holds(assessment.share or 0.0)
        assert covered >= 0.9


def test_nothing_to_decide_is_refused() -> None:
    """A gate without criteria must not pass."""
    with pytest.raises(ValueError, match="without criteria"):
        decide(POLICY, [], LONGEST)


@pytest.mark.parametrize("wrong", [{"step_s": 0}, {"shortest_s": 1300}, {"alpha": 0}, {"beta": 1}], ids=str)
def test_policies_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """Windows in order, error rates between 0 and 1."""
    with pytest.raises(ValueError, match="expected"):
        Policy(**wrong)  # type: ignore[arg-type]


def test_a_short_window_still_has_later_starts() -> None:
    """A rehearsal of one minute finds a regression in its middle too."""
    assert Policy(shortest_s=60, longest_s=60, step_s=2).starts.later == 14
    assert Policy().starts.later == 19
