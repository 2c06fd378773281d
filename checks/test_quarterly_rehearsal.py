"""Runbook 1, every quarter: the recovery was rehearsed lately, as the sealed evidence of its runs shows."""

from functools import partial

from opsverify import NONE, Inconclusive, Limit, listed, not_passed, runbook, say

QUARTERLY = partial(runbook, stages=("quarterly",), needs=("recovery",), severity="sev1")
SOME = Limit(">=", 1, "count")


def recent(check, found):
    """The evidence is whole, and young enough."""
    check.measure(
        say("problems"), len(found.problems), NONE,
        of=listed(say("problems with the evidence of {name}", name=found.name), found.problems),
    )  # fmt: skip
    if not found.problems:
        check.measure(
            say("age"), found.age_s, check.limits.rehearsal_age, of=say("since {name} ended", name=found.name)
        )


def carried_out(check, rehearsals, line):
    """The newest rehearsal that covered a line, whose checks of it all passed."""
    found = rehearsals.of_line(line)
    recent(check, found)
    outcomes = found.of_line(line)
    wrong = not_passed(outcomes)
    check.measure(
        say("not passed"), len(wrong), NONE,
        of=listed(say("of {count} checks of line {line} not passed", count=len(outcomes), line=line), wrong),
    )  # fmt: skip
    passed = sum(outcome == "pass" for outcome in outcomes.values())
    check.measure(say("passed"), passed, SOME, of=say("checks of line {line} passed", line=line))
    return found


@QUARTERLY(
    "1-quarterly/dr",
    id="quarterly.dr",
    ko="DR 리허설: 최근 리허설이 서명된 증거로 승인되었고 기준 기간 이내인가",
    en="The last rehearsal was accepted, by whole and signed evidence, and is recent",
)
def test_last_rehearsal(check, rehearsals):
    """A rehearsal that nobody can show, or that left a line out, is none."""
    found = rehearsals.newest()
    recent(check, found)
    check.expect(say("decision of {run}", run=found.run.run_id), found.run.decision, "accept")
    missing = rehearsals.uncovered(check.limits.rehearsal_age)
    check.measure(
        say("lines left out"), len(missing), NONE, of=listed(say("runbook lines that no rehearsal covered"), missing)
    )


@QUARTERLY(
    "5-2/integrity",
    id="quarterly.dr_integrity",
    ko="DR 리허설: 백업 무결성이 확인되었는가",
    en="The last rehearsal found the backup whole",
)
def test_integrity(check, rehearsals):
    """Only a restore reads every file of a backup."""
    carried_out(check, rehearsals, "5-2/integrity")


@QUARTERLY(
    "5-3/restore",
    id="quarterly.dr_restore",
    ko="DR 리허설: DB를 복구하고 읽기/쓰기를 확인하였는가",
    en="The last rehearsal restored the database, and read and wrote it",
)
def test_restore(check, rehearsals):
    """A backup that was never restored is a hope."""
    carried_out(check, rehearsals, "5-3/restore")


@QUARTERLY(
    "5-5/consistency",
    id="quarterly.dr_consistency",
    ko="DR 리허설: 데이터 정합성을 점검하였는가",
    en="The last rehearsal compared the restored data",
)
def test_consistency(check, rehearsals):
    """A restore that loses rows still starts."""
    carried_out(check, rehearsals, "5-5/consistency")


@QUARTERLY(
    "5/objectives",
    id="quarterly.dr_objectives",
    ko="DR 리허설: 측정된 RTO와 RPO가 지금의 목표 이내인가",
    en="RTO and RPO as the last rehearsal measured them are within today's objectives",
)
def test_objectives(check, rehearsals):
    """What was measured then is compared with the limits of today, which may be tighter."""
    found = carried_out(check, rehearsals, "5/objectives")
    wanted = (("restore.rto", check.limits.rto), ("restore.rpo", check.limits.rpo))
    for source, limit in wanted:
        measured = found.measured(source)
        if not measured and not found.problems:
            raise Inconclusive(say("{run}: {check} measured nothing", run=found.run.run_id, check=source))
        for name, value in measured:
            check.measure(name, value, limit, of=say("{name} ({check})", name=name, check=source))
