"""Page of a real recovery and its switchback, from the timeline and the runs that it names as evidence."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from opsverify.errors import EvidenceError
from opsverify.incident.checklist import CUSTOMER_NOTICE, NOTE, STEPS, SWITCHBACK, TOLD
from opsverify.incident.downtime import downtime
from opsverify.report.dates import clock, date_time
from opsverify.report.lost import losses_of, lost_of
from opsverify.report.model import UNKNOWN, Bar, Figure, Note, Page, PageRow, Text, same
from opsverify.report.parts import limit_of, objective, restore_sources, rpo_sources_of
from opsverify.report.runs import actions_of, checks_of, finished, not_passed_of, read_run, rehearsals
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.incident.checklist import ChecklistStep
    from opsverify.incident.timeline import Event, Incident
    from opsverify.report.runs import RehearsalRun

VALIDATED: Final = "smoke"
"""The step that validates the service: the end of the RTO (runbook 5-6)."""
FREE_EVENTS: Final = {
    NOTE: Text("메모", "note"),
    TOLD: Text("에스컬레이션", "escalation"),
    CUSTOMER_NOTICE: Text("고객사 통지", "customer notice"),
}
"""What the events of a timeline are called that are no step."""
_POST_DR: Final = "post-dr"
_RPO_CHECK: Final = "restore.rpo_witnesses"


def page_of(incident: Incident, target: Target, reports: Path, language: str | None) -> Page:
    """The page of `incident`, open or closed."""
    runs = [run for event in incident.events if event.evidence and (run := _run(reports / event.evidence))]
    newest = runs[-1] if runs else None
    recovered = _recovered(incident, target.name, reports)
    rto = target.limits.rto
    took = _took_s(incident)
    recovery, switchback = _recovery_and_switchback(incident)
    trend = rehearsals(reports, target.name, incident.id[:16] + "~")
    return Page(
        title=Text("DR 복구 보고", "Disaster recovery report"),
        target=target.name,
        name=incident.id,
        decision="closed" if incident.closed else "open",
        language=language or target.language,
        when=date_time(incident.events[0].at),
        figures=tuple(_figures(incident, target, runs)),
        bars=tuple(_bars(recovery)),
        rto_s=rto.bound,
        took_s=took,
        rpo_sources=rpo_sources_of(recovered) if recovered else (),
        facts=tuple(_facts(incident, recovery, runs)),
        losses=losses_of(recovered) if recovered else (),
        lost=tuple(_lost(incident, recovered)),
        checks=checks_of(newest) if newest else (),
        not_passed=not_passed_of(newest) if newest else (),
        trend=tuple(run.point for run in trend),
        actions=(*_actions(incident), *(actions_of(newest) if newest else ())),
        switchback=tuple(_bars(switchback)),
        switchback_facts=tuple(map(_fact, switchback)),
    )


def _took_s(incident: Incident) -> float:
    began = incident.events[0].moment
    end = incident.of(VALIDATED) or incident.of(STEPS[-1].name)
    return ((end.moment if end else dt.datetime.now(dt.UTC)) - began).total_seconds()


def _recovery_and_switchback(incident: Incident) -> tuple[Sequence[Event], Sequence[Event]]:
    """The events before the first step of the switchback, and those from it on, notes included."""
    events = incident.events
    first = next((index for index, event in enumerate(events) if _step_of(event) in SWITCHBACK), len(events))
    return events[:first], events[first:]


def _step_of(event: Event) -> ChecklistStep | None:
    return next((step for step in (*STEPS, *SWITCHBACK) if step.name == event.step), None)


def _figures(incident: Incident, target: Target, runs: list[RehearsalRun]) -> Iterator[Figure]:
    yield objective(
        Text("RTO (선언부터 검증까지)", "RTO (declared to validated)"), _took_s(incident), target.limits.rto
    )
    measured = next(
        (run for run in reversed(runs) if run.verdict["stage"] == _POST_DR and run.loss_s is not None), None
    )
    rpo = limit_of(measured, _RPO_CHECK) if measured else target.limits.rpo
    yield objective(Text("RPO (손실 구간)", "RPO (data lost)"), measured.loss_s if measured else None, rpo)
    steps = (*STEPS, *SWITCHBACK) if incident.in_switchback else STEPS
    if incident.in_switchback:
        yield _downtime(incident)
    excused = sum(event.exception is not None for event in incident.events)
    done = sum(incident.of(step.name) is not None for step in steps)
    yield Figure(
        Text("단계", "steps"),
        f"{done} / {len(steps)}",
        Text(f"예외 {excused}건", f"{excused} exceptions"),
        None,
        excused == 0 if incident.closed else None,
    )


def _downtime(incident: Incident) -> Figure:
    """The downtime of outage and switchback together."""
    found = downtime(incident)
    outage, switchback = (
        UNKNOWN if part.seconds is None else elapsed(part.seconds) for part in (found.outage, found.switchback)
    )
    return Figure(
        Text("다운타임", "downtime"),
        UNKNOWN if found.seconds is None else elapsed(found.seconds),
        Text(f"장애 {outage}, 스위치백 {switchback}", f"outage {outage}, switchback {switchback}"),
        None,
        None,
    )


def _bars(events: Sequence[Event]) -> Iterator[Bar]:
    """A bar for each event, from the event before it to its own time."""
    if not events:
        return
    began = before = events[0].moment
    for event in events:
        step = _step_of(event)
        label = same(f"{step.runbook} {step.name}") if step else same((event.note or event.step)[:24])
        before = min(before, event.moment)  # who was told may be recorded after a later step
        took = (event.moment - before).total_seconds()
        value = f"{elapsed(took) if event is not events[0] else event.at[11:19]} · {event.by}"
        marked = event.exception is not None
        text = Text(f"{value} · 예외", f"{value} · exception") if marked else same(value)
        yield Bar(label, (before - began).total_seconds(), took, text, marked=marked)
        before = event.moment


def _facts(incident: Incident, events: Sequence[Event], runs: list[RehearsalRun]) -> Iterator[PageRow]:
    rehearsed = next((run.drill for run in runs if run.drill), None)
    if rehearsed:
        yield from restore_sources(rehearsed)
    declared = incident.events[0]
    if declared.disaster_at:
        yield PageRow(Text("재해 발생", "disaster"), (clock(declared.disaster_at) + " UTC",))
    yield from map(_fact, events)


def _fact(event: Event) -> PageRow:
    step = _step_of(event)
    return PageRow(Text(step.ko, step.en) if step else FREE_EVENTS[event.step], (_event_text(event),))


def _event_text(event: Event) -> str:
    parts = [
        f"{event.at[:19].replace('T', ' ')} {event.by}", event.severity, event.level, event.note, event.evidence,
        event.exception,
    ]  # fmt: skip
    return " · ".join(part for part in parts if part)


def _recovered(incident: Incident, target: str, reports: Path) -> RehearsalRun | None:
    """The newest run of post-dr since the declaration, also one that did not pass its gate."""
    closing = incident.of("close")
    until = f"{closing.moment.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}~" if closing else "~"
    newest = next(finished(reports, target, _POST_DR, until), None)
    return newest if newest and newest.folder.name >= incident.id[:16] else None


def _lost(incident: Incident, recovered: RehearsalRun | None) -> Iterator[Note]:
    for step in (step for step in (*STEPS, *SWITCHBACK) if step.reports):
        report = incident.of(step.name)
        ko, en = ("스위치백 ", "switchback: ") if step in SWITCHBACK else ("", "")
        if report and report.impact:
            yield Note(Text(f"{ko}영향 구간: {report.impact}", f"{en}impact: {report.impact}"))
        if report and report.loss:
            yield Note(Text(f"{ko}손실 데이터: {report.loss}", f"{en}loss: {report.loss}"))
    if recovered is None:
        yield Note(
            Text("행 손실은 알 수 없음: post-dr 실행 없음", "lost rows not known: no run of post-dr"), "inconclusive"
        )
        return
    yield from lost_of(recovered)
    yield Note(Text(f"근거: {recovered.folder.name}", f"evidence: {recovered.folder.name}"))


def _actions(incident: Incident) -> Iterator[Note]:
    for event in incident.events:
        for action in event.actions:
            yield Note(same(action))
        if event.exception:
            yield Note(
                Text(f"예외 {event.step}: {event.exception}", f"exception {event.step}: {event.exception}"), "fail"
            )
    step = incident.next_step
    if step is not None and (step in STEPS or incident.in_switchback):
        yield Note(Text(f"{step.runbook} {step.ko}", f"{step.runbook} {step.en}"), "inconclusive")


def _run(folder: Path) -> RehearsalRun | None:
    try:
        return read_run(folder)
    except EvidenceError:  # no longer in the reports folder, though the timeline names it
        return None
