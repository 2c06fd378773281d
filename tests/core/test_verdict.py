"""The verdict: the rule of the design page over any outcomes, and its exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from opsverify.core.exit_codes import EXIT
from opsverify.core.plan import Plan, Planned
from opsverify.core.results import CheckResult
from opsverify.core.stages import STAGES, Decision, Outcome
from opsverify.core.verdict import Verdict, judge

if TYPE_CHECKING:
    from opsverify.core.stages import Stage


OUTCOMES = st.sampled_from([*Outcome, None])
ROWS = st.lists(
    st.tuples(OUTCOMES, st.sampled_from(["run", "run", "not applicable", "cannot run", "waived"])), max_size=6
)
STAGE = st.sampled_from(sorted(STAGES.values(), key=lambda stage: stage.name))
TROUBLES = st.lists(st.sampled_from(["interrupted", "import error"]), max_size=1)


def verdict_of(stage: Stage, rows: list[tuple[Outcome | None, str]], troubles: list[str]) -> Verdict:
    """Judge rows of (outcome or None for no result, kind of plan entry)."""
    checks = tuple(
        Planned(
            f"t.{number}", "점검", "A check", ("8/errors",), "sev1", "me", f"n{number}",
            not_applicable="none here" if kind == "not applicable" else None,
            cannot_run="unknown" if kind == "cannot run" else None,
            waiver="until Monday" if kind == "waived" else None,
        )
        for number, (_, kind) in enumerate(rows)
    )  # fmt: skip
    results = {
        f"t.{number}": CheckResult(f"t.{number}", outcome, f"m{number}", "2026-11-22T00:00:00.000Z")
        for number, (outcome, _) in enumerate(rows)
        if outcome is not None
    }
    return judge(Plan(stage, checks), {**results, "t.stray": CheckResult("t.stray", Outcome.FAIL, "")}, troubles)


@given(STAGE, ROWS, TROUBLES)
def test_rule(stage: Stage, rows: list[tuple[Outcome | None, str]], troubles: list[str]) -> None:
    """Fail beats all; a pass needs everything settled and one pass; all else is inconclusive."""
    verdict = verdict_of(stage, rows, troubles)
    outcomes = [result.outcome for result in verdict.results]
    assert len(outcomes) == len(rows)
    settled = {Outcome.PASS, Outcome.NOT_APPLICABLE, Outcome.WAIVED}
    if Outcome.FAIL in outcomes:
        expected = Outcome.FAIL
    elif set(outcomes) <= settled and Outcome.PASS in outcomes and not troubles:
        expected = Outcome.PASS
    else:
        expected = Outcome.INCONCLUSIVE
    assert verdict.outcome is expected


@given(STAGE, ROWS, TROUBLES, st.integers(0, 7))
def test_zero_needs_a_complete_plan(
    stage: Stage, rows: list[tuple[Outcome | None, str]], troubles: list[str], status: int
) -> None:
    """No combination with a missing result, a trouble or pytest's own trouble ends in 0."""
    verdict = verdict_of(stage, rows, troubles)
    missing = any(outcome is None and kind != "not applicable" for outcome, kind in rows)
    unplannable = any(kind == "cannot run" for _, kind in rows)
    if verdict.exit_code(status) == 0:
        assert not missing
        assert not unplannable
        assert not troubles
        assert status not in (2, 3, 4, 5)
        assert verdict.decision in (Decision.PROMOTE, Decision.ACCEPT)
    assert verdict.exit_code(status) in {0, 1, 10} | {status} & {2, 3, 4, 5}


@given(STAGE, ROWS, TROUBLES)
def test_every_verdict_but_a_pass_has_reasons(
    stage: Stage, rows: list[tuple[Outcome | None, str]], troubles: list[str]
) -> None:
    """Whoever is told to roll back or hold is told why, failures first."""
    verdict = verdict_of(stage, rows, troubles)
    assert bool(verdict.reasons) == (verdict.outcome is not Outcome.PASS)
    if verdict.outcome is Outcome.FAIL:
        first = next(result for result in verdict.results if result.outcome is Outcome.FAIL)
        assert verdict.reasons[0] == f"{first.id}: {first.message}"


@given(STAGE, st.sampled_from([Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE]))
def test_decisions(stage: Stage, outcome: Outcome) -> None:
    """Releases are promoted or rolled back, operations accepted or rejected; both are held."""
    releases = stage.name in {"staging", "preprod-canary", "prod-canary"}
    good, bad = ("promote", "rollback") if releases else ("accept", "reject")
    decision = stage.decide(outcome)
    assert decision == {"pass": good, "fail": bad, "inconclusive": "hold"}[outcome]
    assert EXIT[decision] == {"pass": 0, "fail": 1, "inconclusive": 10}[outcome]


def test_waiver_keeps_what_was_measured() -> None:
    """A waived check has the reason, and its message without the waiver."""
    verdict = verdict_of(STAGES["daily"], [(Outcome.FAIL, "waived"), (Outcome.PASS, "run")], [])
    waived = verdict.results[0]
    assert waived.outcome is Outcome.WAIVED
    assert waived.message == "waived: until Monday; without the waiver: m0"
    assert verdict.outcome is Outcome.PASS


def test_a_waived_check_that_never_ran_is_missing() -> None:
    """A waiver excuses what a check found, not that nobody looked."""
    verdict = verdict_of(STAGES["daily"], [(None, "waived"), (Outcome.PASS, "run")], [])
    assert verdict.results[0].outcome is Outcome.INCONCLUSIVE


def test_executed_counts_only_what_ran() -> None:
    """Not applicable, impossible and missing checks are planned, but not executed."""
    rows = [(Outcome.PASS, "run"), (None, "run"), (None, "not applicable"), (Outcome.PASS, "cannot run")]
    assert verdict_of(STAGES["daily"], rows, []).executed == 1
