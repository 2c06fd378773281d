"""Runbook 4: every hour of the coming weeks has somebody on each level, and whoever had to be told was, in time."""

from functools import partial

from opsverify import NONE, Inconclusive, listed, runbook, say

ON_CALL = partial(runbook, "4/on-call", stages=("quarterly",), needs=("on_call",))


@ON_CALL(id="on_call.covered", severity="sev2", ko="온콜에 빈 시간이 없는가", en="Every level is covered at every hour")
def test_covered(check, on_call):
    """An alert in an uncovered hour reaches nobody."""
    uncovered = list(on_call.uncovered())
    check.measure(
        say("time"),
        sum(span.seconds for _, span in uncovered),
        check.limits.on_call_uncovered,
        of=listed(say("that nobody covers"), on_call.texts(uncovered)),
    )


@ON_CALL(
    id="on_call.people", severity="sev2", ko="온콜 담당자가 응답할 수 있는 사람인가", en="Who is on call can answer"
)
def test_people(check, on_call):
    """A misspelt name, a person on leave, or the same person on two levels: the escalation ends there."""
    check.measure(say("shifts"), len(on_call.unknown), NONE, of=listed(say("of unknown names"), on_call.unknown))
    misplaced = list(on_call.misplaced())
    check.measure(say("shifts"), len(misplaced), NONE, of=listed(say("of persons elsewhere or on leave"), misplaced))


@ON_CALL(id="on_call.handover", severity="sev3", ko="온콜 인계 시각이 서로 맞는가", en="Handovers meet")
def test_handover(check, on_call):
    """Handovers in two zones' local time come apart when one of them changes its clocks."""
    overlaps = list(on_call.overlapping())
    check.measure(
        say("time"),
        sum(span.seconds for _, span in overlaps),
        check.limits.on_call_overlap,
        of=listed(say("that two persons of one level share"), on_call.texts(overlaps)),
    )


@ON_CALL(
    id="on_call.escalation",
    severity="sev2",
    ko="에스컬레이션: 최근 분기의 사고마다 각 레벨과 고객사에 기한 안에 알렸는가",
    en="Escalation: in every incident of the last quarter each level and the customers were told in time",
)
def test_escalation(check, escalations):
    """A deadline that passed without a word, or was met late; not yet due is neither."""
    of = say(
        "told late or never ({incidents:,} incidents in 92 days; {kept:,} in time, {waiting:,} not yet due)",
        incidents=escalations.incidents,
        kept=escalations.kept,
        waiting=escalations.waiting,
    )
    check.measure(say("deadlines missed"), len(escalations.late), NONE, of=listed(of, escalations.late))
    if not escalations.late and escalations.unrated:
        raise Inconclusive(
            say(
                "{incident}: no severity recorded ({count:,} such incidents); "
                "opsverify dr mark note --severity sev1|sev2|sev3 --incident {incident}",
                incident=escalations.unrated[0],
                count=len(escalations.unrated),
            )
        )
