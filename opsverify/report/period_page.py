"""Page of a week or a month: "all good" or "look closer" first, then what was run, what changed, what runs out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from opsverify.core.decision_words import DECISIONS
from opsverify.errors import OpsVerifyError
from opsverify.language.message import Message, as_message, say
from opsverify.report.dates import date_time, minute
from opsverify.report.document import Chapter, Document, Grid, GridRow, cell
from opsverify.report.model import UNKNOWN, Note, Text, same
from opsverify.report.parts import limit_of
from opsverify.report.period_cost import cost_chapter
from opsverify.report.period_review import Concern, PeriodReview
from opsverify.report.runs import read_run, shortened
from opsverify.report.summary import reasons_of
from opsverify.report.trend import trend_charts
from opsverify.units import elapsed, quantity

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.evidence.target_state import TargetState
    from opsverify.limits import Limit
    from opsverify.report.period import Period
    from opsverify.report.period_checks import CheckChange
    from opsverify.report.period_runs import PeriodRun
    from opsverify.report.period_stages import StageRecord
    from opsverify.report.runs import RehearsalRun

_TITLES: Final = {
    "weekly": Text("주간 운영 보고", "Weekly operations report"),
    "monthly": Text("월간 운영 보고", "Monthly operations report"),
}
_TREND: Final = 12
_CHANGES: Final = 20
ROW_KINDS: Final = {"accept": "", "promote": "", "reject": "fail", "rollback": "fail", "hold": "inconclusive"}
_OUTCOMES: Final = {
    "pass": Text("통과", "pass"),
    "fail": Text("실패", "fail"),
    "inconclusive": Text("측정 불가", "not measured"),
    "waived": Text("면제", "waived"),
    "not_applicable": Text("해당 없음", "not applicable"),
}
_DAMAGED: Final = (OpsVerifyError, LookupError, ValueError, TypeError, AttributeError)
"""What evidence of another version, or a damaged one, raises: the part that needs it is red, the others are made."""


def page_of(
    state: TargetState, target: Target, reports: Path, period: Period, now: dt.datetime, language: str | None
) -> Document:
    """The page of `period`: a part that could not be made is red, and says why."""
    concerns: list[Concern] = []
    chapters: list[Chapter] = []
    whole = True
    try:
        review = PeriodReview.of(state, target, period, now)
        concerns += review.concerns()
    except _DAMAGED as error:
        concerns.append(Concern(target.owners.default, say("runs: could not be read: {error}", error=error)))
        whole = False
    else:
        for heading, make in _parts(review, reports):
            try:
                chapters.append(make(heading, concerns))
            except _DAMAGED as error:
                whole = False
                reason = say("could not be made: {error}", error=error)
                chapters.append(Chapter(heading, (Note(same(reason), "fail"),)))
                concerns.append(Concern(target.owners.default, say("{part}: {reason}", part=_message(heading),
                                                                   reason=reason)))  # fmt: skip
    good = not concerns
    return Document(
        title=_TITLES[period.kind],
        name=f"{target.name} {period.name}",
        when=same(period.text),
        state=Text("이상 없음", "ALL GOOD") if good else Text("확인 필요", "LOOK CLOSER"),
        kind="accept" if good else ("reject" if any(one.kind == "fail" for one in concerns) else "hold"),
        language=language or target.language,
        chapters=(_first(concerns), *chapters, _made(now)),
        whole=whole,
    )


def _parts(review: PeriodReview, reports: Path) -> Iterator[tuple[Text, Callable[[Text, list[Concern]], Chapter]]]:
    yield Text("수행한 점검", "Stages run and missed"), partial(_stages, review)
    yield Text("지난 보고 이후 달라진 것", "Changed since the last report"), partial(_changes, review)
    yield Text("카나리·배포 결정", "Canary and release decisions"), partial(_releases, review)
    yield Text("복구 리허설: RTO와 RPO", "Rehearsals: RTO and RPO"), partial(_rehearsals, review)
    yield Text("LLM 비용", "LLM cost"), lambda heading, _concerns: cost_chapter(review, heading)
    yield Text("느리거나 결과가 흔들리는 점검", "Slow and flaky checks"), partial(_restless, review)
    yield Text("끝나 가는 면제와 확인 서명", "Waivers and attestations that run out"), partial(_ending, review, reports)


def _first(concerns: list[Concern]) -> Chapter:
    if not concerns:
        good = say("nothing to look at: every run was made and is well")
        return Chapter(Text("결론", "Conclusion"), (Note(same(good)),))
    ordered = sorted(concerns, key=lambda one: (one.kind != "fail", one.owner))
    notes = tuple(
        Note(same(say("{owner}: {text}", owner=one.owner, text=one.text.each(shortened))), one.kind) for one in ordered
    )
    return Chapter(Text("볼 것 (담당별)", "To look at, by owner"), notes)


def _made(now: dt.datetime) -> Chapter:
    made = say(
        "made {at} from the sealed verdicts that the target's state names; an altered or moved one does not count",
        at=date_time(now.isoformat()),
    )
    return Chapter(Text("근거", "Sources"), (Note(same(made)),))


def _stages(review: PeriodReview, heading: Text, _concerns: list[Concern]) -> Chapter:
    heads = (
        Text("단계", "stage"), Text("수행/예정", "made / wanted"), Text("빠진 날", "missed"), Text("실행", "runs"),
        Text("승인", "well"), Text("거부", "rejected"), Text("보류", "held"), Text("마지막 판정", "newest"),
    )  # fmt: skip
    notes: tuple[Note, ...] = ()
    if not review.target.has("recovery"):
        notes = (Note(same(say("rehearsal: not wanted: {absence}", absence=review.target.absence("recovery")))),)
    return Chapter(heading, notes, (Grid(heads, tuple(map(_stage, review.stages))),))


def _stage(record: StageRecord) -> GridRow:
    missed = say("{count}: {names}", count=len(record.missed),
                 names=", ".join(map(str, (slot.label for slot in record.missed))))  # fmt: skip
    newest = record.newest
    kind = "fail" if record.missed or any(run.problem for run in record.runs) else _kind(newest)
    return GridRow(
        (
            record.stage,
            f"{len(record.slots) - len(record.missed)} / {len(record.slots)}" if record.slots else UNKNOWN,
            cell(missed) if record.missed else "0",
            f"{len(record.runs)}",
            f"{record.count('accept', 'promote')}",
            f"{record.count('reject', 'rollback')}",
            f"{record.count('hold')}",
            decision_cell(newest),
        ),
        kind,
    )


def _kind(run: PeriodRun | None) -> str:
    return "" if run is None else ROW_KINDS.get(run.decision or "", "fail")


def decision_cell(run: PeriodRun | None) -> str | Text:
    """The decision of a run and when it began, as a cell has them; a dash without a run."""
    if run is None:
        return UNKNOWN
    word = DECISIONS.get(run.decision or "", as_message(run.decision or UNKNOWN))
    return cell(say("{decision} ({at})", decision=word, at=minute(run.begun.isoformat())))


def _changes(review: PeriodReview, heading: Text, _concerns: list[Concern]) -> Chapter:
    heads = (Text("점검", "check"), Text("단계", "stage"), Text("전", "before"), Text("지금", "now"),
             Text("내용", "what"))  # fmt: skip
    found = review.changes
    rows = tuple(_change(one) for one in found[:_CHANGES])
    notes = []
    if not review.earlier:
        name = review.period.before.name
        notes.append(Note(same(say("no run in the period before ({name}); compared with older runs", name=name))))
    if len(found) > _CHANGES:
        notes.append(Note(same(say("and {count} more changes", count=len(found) - _CHANGES))))
    notes += [
        Note(same(say("still red: {stage} {check} since {at}", stage=one.stage, check=one.id,
                      at=minute(one.since.isoformat()))), one.outcome)
        for one in review.still_red
    ]  # fmt: skip
    return Chapter(heading, tuple(notes), (Grid(heads, rows),))


def _change(change: CheckChange) -> GridRow:
    now = change.now
    outcomes = (
        _OUTCOMES.get(one.outcome, same(one.outcome)) if one else Text("없음", "none") for one in (change.before, now)
    )
    return GridRow(
        (
            change.state.id,
            change.state.stage,
            *outcomes,
            cell(change.state.message.each(shortened) if now else as_message("")),
        ),
        now.outcome if now and now.red else "",
    )


def _releases(review: PeriodReview, heading: Text, _concerns: list[Concern]) -> Chapter:
    heads = (Text("시각 (UTC)", "time (UTC)"), Text("단계", "stage"), Text("결정", "decision"), Text("사유", "reason"))
    return Chapter(heading, (), (Grid(heads, tuple(_release(run) for run in review.runs if run.releases)),))


def _release(run: PeriodRun) -> GridRow:
    reasons = reasons_of(dict(run.verdict)) if run.verdict else []
    why = run.problem or (reasons[0][1] if reasons else as_message(""))
    word = DECISIONS.get(run.decision or "", as_message(run.decision or UNKNOWN))
    at = minute(run.begun.isoformat())
    return GridRow((cell(at), run.stage, cell(word), cell(why.each(shortened))), "fail" if run.problem else _kind(run))


def _rehearsals(review: PeriodReview, heading: Text, concerns: list[Concern]) -> Chapter:
    runs = [run for run in review.known if run.stage == "rehearsal" and run.verdict is not None][-_TREND:]
    found = [(run, read_run(run.folder)) for run in runs]
    heads = (Text("리허설", "rehearsal"), Text("RTO", "RTO"), Text("RPO", "RPO"), Text("결정", "decision"))
    inside = [run for run in runs if run.begun in review.period]
    if review.target.has("recovery") and inside and not any(one.point.rto_s for run, one in found if run in inside):
        concerns.append(Concern(review.target.owners.default, say("rehearsal: no RTO was measured in this period")))
    rows = tuple(_rehearsal(run, one) for run, one in reversed(found))
    charts = tuple(trend_charts([one.point for _, one in found])) if found else ()
    return Chapter(heading, (), (Grid(heads, rows),), charts)


def _rehearsal(run: PeriodRun, found: RehearsalRun) -> GridRow:
    point = found.point
    rpo = limit_of(found, "restore.rpo_witnesses")
    cells = (_against(point.rto_s, limit_of(found, "restore.rto")), _against(point.rpo_s, rpo))
    return GridRow((run.run_id, *cells, decision_cell(run)), _kind(run))


def _against(seconds: float | None, limit: Limit | None) -> str | Text:
    if seconds is None:
        return Text("측정 불가", "not measured")
    return elapsed(seconds) if limit is None else f"{elapsed(seconds)} ({limit.text})"


def _restless(review: PeriodReview, heading: Text, _concerns: list[Concern]) -> Chapter:
    slow_heads = (
        Text("느린 점검", "slow check"),
        Text("단계", "stage"),
        Text("중앙값", "median"),
        Text("전", "before"),
    )
    slow = tuple(
        GridRow(
            (one.id, one.stage, quantity(one.seconds, "s"),
             UNKNOWN if one.before_s is None else quantity(one.before_s, "s")),
            "inconclusive" if one.slower else "",
        )
        for one in review.slow
    )  # fmt: skip
    flaky_heads = (Text("흔들리는 점검", "flaky check"), Text("단계", "stage"), Text("바뀐 횟수", "changes"),
                   Text("실행", "runs"))  # fmt: skip
    flaky = tuple(GridRow((one.id, one.stage, f"{one.flips}", f"{one.runs}"), "inconclusive") for one in review.flaky)
    grids = tuple(grid for grid in (Grid(slow_heads, slow), Grid(flaky_heads, flaky)) if grid.rows)
    return Chapter(heading, (), grids)


def _ending(review: PeriodReview, reports: Path, heading: Text, concerns: list[Concern]) -> Chapter:
    today = review.period.day_of(review.now)
    waivers = tuple(
        GridRow((one.check, one.owner, f"{one.until}", one.reason), "fail" if one.until < today else "inconclusive")
        for one in review.waivers
    )
    signed = review.attestations(reports)
    concerns += [
        Concern(review.target.owners.default, say("attestation of {item} for {stage} by {by} ended {at}", item=one.item,
                                                  stage=one.stage, by=one.by,
                                                  at=minute(one.until.isoformat())), "inconclusive")
        for one in signed if one.ended
    ]  # fmt: skip
    attested = tuple(
        GridRow((one.item, one.stage, one.by, cell(minute(one.until.isoformat()))),
                "inconclusive" if one.ended else "")
        for one in signed if one.until < review.period.following.end
    )  # fmt: skip
    grids = (
        Grid((Text("면제한 점검", "waived check"), Text("담당", "owner"), Text("끝나는 날", "until"),
              Text("사유", "reason")), waivers),
        Grid((Text("서명한 항목", "signed line"), Text("단계", "stage"), Text("서명자", "by"),
              Text("유효 (UTC)", "until (UTC)")), attested),
    )  # fmt: skip
    return Chapter(heading, (), tuple(grid for grid in grids if grid.rows))


def _message(text: Text) -> Message:
    return Message.of(text.en, text.ko)
