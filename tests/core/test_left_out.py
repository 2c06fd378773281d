"""Lines that a stage leaves out: named with its reason, and a stage without the lines it decides by holds."""

from __future__ import annotations

import datetime as dt

import pytest

from opsverify.core.left_out import decides, left_out
from opsverify.core.plan import Plan, Planned
from opsverify.core.results import CheckResult
from opsverify.core.runbook import Line, OutOfScope, lines_of
from opsverify.core.stages import CANARY, INCIDENTS, STAGES, Decision, Outcome
from opsverify.core.verdict import Verdict, judge

ABSENT = "the target declares prometheus absent (none yet)"
DECIDING = [(stage.name, line) for stage in STAGES.values() for line in stage.deciding]


def planned(check_id: str, *lines: str, why_not: str | None = None) -> Planned:
    """A planned check of these lines, not applicable for `why_not`."""
    return Planned(check_id, "점검", "A check", lines, "sev1", "me", f"n.{check_id}", not_applicable=why_not)


def judged(stage: str, *checks: Planned) -> Verdict:
    """Judge a stage whose every check that applies passes, the health of a service among them."""
    plan = Plan(STAGES[stage], (planned("health.service", "5-4/service"), *checks))
    return judge(plan, {check.id: CheckResult(check.id, Outcome.PASS, "well") for check in plan.checks})


def test_every_stage_that_answers_one_question_names_its_lines() -> None:
    """The health checks that most stages share answer none of them."""
    questions = {*INCIDENTS, *CANARY, "staging", "post-rollback", "post-dr", "rehearsal", "switchback"}
    assert {stage for stage, _ in DECIDING} == questions


@pytest.mark.parametrize(("stage", "line"), DECIDING)
def test_a_stage_without_a_deciding_line_holds(stage: str, line: str) -> None:
    """However well the rest is: whether the remedy is in force, or the database restored, was not measured."""
    others = [planned(f"t.{other}", other) for other in STAGES[stage].deciding if other != line]
    verdict = judged(stage, *others, planned("t.one", line, why_not=ABSENT), planned("t.two", line, why_not=ABSENT))
    assert verdict.decision is Decision.HOLD
    assert verdict.exit_code(0) == 10
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith(f"{line} is what {stage} decides by")
    assert ABSENT in verdict.reasons[0]
    assert line in verdict.reasons[0].ko


@pytest.mark.parametrize(("stage", "line"), DECIDING)
def test_one_check_that_applies_is_enough(stage: str, line: str) -> None:
    """What is left out of a line beside it is a note, as anywhere."""
    others = [planned(f"t.{other}", other) for other in STAGES[stage].deciding if other != line]
    verdict = judged(stage, *others, planned("t.one", line), planned("t.two", line, why_not=ABSENT))
    assert verdict.decision in (Decision.ACCEPT, Decision.PROMOTE)
    assert verdict.reasons == ()


@pytest.mark.parametrize(("stage", "line"), DECIDING)
def test_deciding_lines_are_lines_of_the_stage(stage: str, line: str) -> None:
    """Only then is the line in every plan of the stage: without a check it is inconclusive by itself."""
    assert stage in lines_of(None)[line].stages


def test_a_failure_is_still_a_failure() -> None:
    """Nothing that is left out hides a service that is down."""
    stage = STAGES["incident-llm"]
    plan = Plan(stage, (planned("health", "5-4/service"), planned("t.fault", "3-llm/verify", why_not=ABSENT)))
    verdict = judge(plan, {"health": CheckResult("health", Outcome.FAIL, "down")})
    assert (verdict.decision, verdict.exit_code(1)) == (Decision.REJECT, 1)


def test_a_promoted_canary_is_judged_again_by_the_same_rule() -> None:
    """`act` has the lines of each check, and whether it applied."""
    stage = STAGES["prod-canary"]
    assert decides(stage, [(["8/window"], True), (["8/window"], False)])
    assert decides(stage, [(["8/errors"], True)])
    assert not decides(stage, [(["8/window"], False), (["own/one"], True)])
    assert decides(stage, [(["8/window"], False), (["own/one"], True)], ["8/window"])


def test_lines_out_of_scope_are_not_blamed_on_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who looks for them in `absent` would look in the wrong file."""
    scope = OutOfScope("dba", "no BI here", dt.date(2026, 11, 1))
    known = {"2-1/bi": Line("2-1/bi", "스모크", "Smoke", ("staging",), scope)}
    monkeypatch.setattr("opsverify.core.left_out.lines", lambda: known)
    checks = (planned("bi", "2-1/bi", why_not="out of scope"), planned("llm", "2-1/llm", why_not=ABSENT))
    found = left_out(Plan(STAGES["staging"], (*checks, planned("judgment", "2-1/judgment"))))
    assert found.to_dict() == {"lines": ["2-1/bi", "2-1/llm"], "of": 3, "out_of_scope": ["2-1/bi"]}
    assert [text.partition(" runbook")[0] for text in found.texts] == ["1 of 3", "1 of 3"]
    assert "absent: 2-1/llm" in found.texts[0]
    assert "out of scope: 2-1/bi" in found.texts[1]


def test_a_deciding_line_out_of_scope_is_its_owners_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by itself, with owner and reason, and said in the verdict: not a part whose absence took it along."""
    scope = OutOfScope("dba", "no judgment here", dt.date(2026, 11, 1))
    ours = lines_of(None)
    scoped = {"2-1/judgment": Line("2-1/judgment", "스모크", "Smoke", ("staging",), scope)}
    monkeypatch.setattr("opsverify.core.left_out.lines", lambda: ours | scoped)
    assert judged("staging", planned("journey", "2-1/judgment", why_not="scope")).decision is Decision.PROMOTE
    monkeypatch.setattr("opsverify.core.left_out.lines", lambda: ours)
    assert judged("staging", planned("journey", "2-1/judgment", why_not=ABSENT)).decision is Decision.HOLD


def test_a_stage_of_which_every_line_is_out_of_scope_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Health alone says nothing of an incident, whoever decided that its lines are not carried out."""
    scope = OutOfScope("dba", "no LLM here", dt.date(2026, 11, 1))
    ours = lines_of(None)
    deciding = STAGES["incident-llm"].deciding
    scoped = {line: Line(line, "LLM 장애", "LLM failure", ("incident-llm",), scope) for line in deciding}
    monkeypatch.setattr("opsverify.core.left_out.lines", lambda: ours | scoped)
    remedy, verify = (planned(f"t.{line}", line, why_not="scope") for line in deciding)
    assert judged("incident-llm", remedy, verify).decision is Decision.HOLD
    assert judged("incident-llm", remedy, planned("t.fault", "3-llm/verify")).decision is Decision.ACCEPT
