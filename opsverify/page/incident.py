"""The page of a real recovery, from its timeline and the runs that stand as evidence in it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from opsverify.errors import EvidenceError
from opsverify.incident.steps import STEPS
from opsverify.limits import brief
from opsverify.page.lost import losses_of, lost_of
from opsverify.page.model import Bar, Figure, Note, Page, Row, Text, same
from opsverify.page.parts import clock, limit_of, objective, sources, witnesses_of
from opsverify.page.runs import actions_of, checks_of, finished, read_run, reds_of, rehearsals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.incident.timeline import Event, Incident
    from opsverify.page.runs import Run
    from opsverify.target import Target

VALIDATED: Final = "smoke"
"""The step with which the service is validated: what the RTO is held against (runbook 5-6)."""
_POST_DR: Final = "post-dr"
_WITNESSES: Final = "restore.rpo_witnesses"


def page_of(incident: Incident, target: Target, reports: Path, language: str | None) -> Page:
    """The page of `incident` as it stands."""
    runs = [run for event in incident.events if event.evidence and (run := _run(reports / event.evidence))]
    newest = runs[-1] if runs else None
    recovered = _recovered(incident, target.name, reports)
    rto = target.limits.rto
    took = _took_s(incident)
    trend = rehearsals(reports, target.name, incident.id[:16] + "~")
    return Page(
        title=Text("DR 복구 보고", "Disaster recovery report"),
        target=target.name,
        name=incident.id,
        decision="closed" if incident.closed else "open",
        language=language or target.language,
        when=f"{incident.events[0].at[:19].replace('T', ' ')} UTC",
        figures=tuple(_figures(incident, target, runs)),
        bars=tuple(_bars(incident)),
        rto_s=rto.bound,
        took_s=took,
        witnesses=witnesses_of(newest) if newest else (),
        facts=tuple(_facts(incident, runs)),
        losses=losses_of(recovered) if recovered else (),
        lost=tuple(_lost(incident, recovered)),
        checks=checks_of(newest) if newest else (),
        reds=reds_of(newest) if newest else (),
        trend=tuple(run.point for run in trend),
        actions=(*_actions(incident), *(actions_of(newest) if newest else ())),
    )


def _took_s(incident: Incident) -> float:
    began = incident.events[0].moment
    end = incident.of(VALIDATED)
    until = end.moment if end else incident.events[-1].moment if incident.closed else dt.datetime.now(dt.UTC)
    return (until - began).total_seconds()


def _figures(incident: Incident, target: Target, runs: list[Run]) -> Iterator[Figure]:
    yield objective(
        Text("RTO (선언부터 검증까지)", "RTO (declared to validated)"), _took_s(incident), target.limits.rto
    )
    witnessed = next(
        (run for run in reversed(runs) if run.verdict["stage"] == _POST_DR and run.loss_s is not None), None
    )
    rpo = limit_of(witnessed, _WITNESSES) if witnessed else target.limits.rpo
    yield objective(Text("RPO (손실 구간)", "RPO (data lost)"), witnessed.loss_s if witnessed else None, rpo)
    excused = sum(event.exception is not None for event in incident.events)
    done = sum(incident.of(step.name) is not None for step in STEPS)
    yield Figure(
        Text("단계", "steps"),
        f"{done} / {len(STEPS)}",
        Text(f"예외 {excused}건", f"{excused} exceptions"),
        None,
        excused == 0 if incident.closed else None,
    )


def _bars(incident: Incident) -> Iterator[Bar]:
    """Each step from the mark before it to its own: what people and machines needed for it."""
    began = before = incident.events[0].moment
    for event in incident.events:
        step = next((step for step in STEPS if step.name == event.step), None)
        label = Text(f"{step.runbook} {step.name}", f"{step.runbook} {step.name}") if step else same(event.note[:24])
        took = (event.moment - before).total_seconds()
        marks = f"{event.by}{' · 예외 exception' if event.exception else ''}"
        said = f"{brief(took)} · {marks}" if event is not incident.events[0] else f"{event.at[11:19]} · {marks}"
        yield Bar(label, (before - began).total_seconds(), took, said, marked=event.exception is not None)
        before = event.moment


def _facts(incident: Incident, runs: list[Run]) -> Iterator[Row]:
    rehearsed = next((run.drill for run in runs if run.drill), None)
    if rehearsed:
        yield from sources(rehearsed)
    declared = incident.events[0]
    if declared.disaster_at:
        yield Row(Text("재해 발생", "disaster"), (f"{clock(declared.disaster_at)} UTC",))
    for event in incident.events:
        step = next((step for step in STEPS if step.name == event.step), None)
        heading = Text(step.ko, step.en) if step else Text("메모", "note")
        yield Row(heading, (_said(event),))


def _said(event: Event) -> str:
    parts = [f"{event.at[:19].replace('T', ' ')} {event.by}", event.note, event.evidence or "", event.exception or ""]
    return " · ".join(part for part in parts if part)


def _recovered(incident: Incident, target: str, reports: Path) -> Run | None:
    """The newest run of post-dr since the declaration: what it found stands, also where it opened no gate."""
    closing = incident.of("close")
    until = f"{closing.moment.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}~" if closing else "~"
    newest = next(finished(reports, target, _POST_DR, until), None)
    return newest if newest and newest.folder.name >= incident.id[:16] else None


def _lost(incident: Incident, recovered: Run | None) -> Iterator[Note]:
    closing = incident.of("close")
    if closing and closing.impact:
        yield Note(Text(f"영향 구간: {closing.impact}", f"impact: {closing.impact}"))
    if closing and closing.loss:
        yield Note(Text(f"손실 데이터: {closing.loss}", f"loss: {closing.loss}"))
    if recovered is None:
        yield Note(
            Text("행 손실은 알 수 없음: post-dr 실행 없음", "rows lost not known: no run of post-dr"), "inconclusive"
        )
        return
    yield from lost_of(recovered)
    yield Note(Text(f"근거: {recovered.folder.name}", f"found by {recovered.folder.name}"))


def _actions(incident: Incident) -> Iterator[Note]:
    for event in incident.events:
        for action in event.actions:
            yield Note(same(action))
        if event.exception:
            yield Note(
                Text(f"예외 {event.step}: {event.exception}", f"exception {event.step}: {event.exception}"), "fail"
            )
    step = incident.next_step
    if step is not None:
        yield Note(Text(f"{step.runbook} {step.ko}", f"{step.runbook} {step.en}"), "inconclusive")


def _run(folder: Path) -> Run | None:
    try:
        return read_run(folder)
    except EvidenceError:  # moved away since: the timeline still names it
        return None
