"""Report of an incident, as a draft (RCA): what is recorded, with its source; what is not is named as empty."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.incident.downtime import downtime
from opsverify.language.message import Message, as_message, join, say
from opsverify.report.dates import date_time
from opsverify.report.document import Chapter, Document, Grid, GridRow, cell
from opsverify.report.escalation import escalation_of, grid_of
from opsverify.report.incident_times import (
    ALERT,
    DECLARED,
    MARKED,
    RUN,
    TimedEvent,
    in_order,
    of_alert,
    of_run,
    recorded,
    verdict_time,
)
from opsverify.report.model import UNKNOWN, Note, Text, same
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opsverify.config.model import Target
    from opsverify.incident.timeline import Event, Incident
    from opsverify.report.incident_times import FiredAlert
    from opsverify.report.period_runs import PeriodRun

EMPTY: Final = Text("비어 있음", "EMPTY")
_ACTION: Final = re.compile(r"(?P<what>.*\S)\s*\[(?P<owner>[^\[\],]+),\s*(?P<until>\d{4}-\d{2}-\d{2})\]\s*")
_HOW: Final = "opsverify dr mark close|report|note"


@dataclass(frozen=True)
class IncidentFacts:
    """What is known of an incident: its timeline (None: it was never declared), the runs and alerts of its time.

    `alerts_problem` is why alerts are not known.
    """

    target: Target
    since: dt.datetime
    until: dt.datetime
    incident: Incident | None
    runs: tuple[PeriodRun, ...] = ()
    alerts: tuple[FiredAlert, ...] = ()
    alerts_problem: Message | None = None

    @property
    def name(self) -> str:
        """The incident's id, or the time from which on the report looks."""
        return self.incident.id if self.incident else f"{self.since:%Y%m%dT%H%M%SZ}-{self.target.name}-undeclared"

    @property
    def events(self) -> tuple[Event, ...]:
        """The entries of the timeline."""
        return self.incident.events if self.incident else ()


@dataclass(frozen=True)
class Field:
    """One field of the report: its text and source, None where it is empty; `how` says how it is filled."""

    name: Text
    value: Message | None
    source: Text | str = UNKNOWN
    how: str = ""

    @property
    def row(self) -> GridRow:
        """As a row of a table."""
        if self.value is None:
            return GridRow((self.name, EMPTY, UNKNOWN), "inconclusive")
        return GridRow((self.name, cell(self.value), self.source))


@dataclass(frozen=True)
class Action:
    """One action; owner and date are None where the text does not end with `[OWNER, YYYY-MM-DD]`."""

    what: str
    owner: str | None
    until: dt.date | None

    @classmethod
    def of(cls, text: str) -> Action:
        """Read `more disk [kim, 2026-12-05]`."""
        found = _ACTION.fullmatch(text)
        try:
            if found:
                return cls(found["what"], found["owner"].strip(), dt.date.fromisoformat(found["until"]))
        except ValueError:  # the 31st of February: the text stays whole
            pass
        return cls(text, None, None)

    def row(self, today: dt.date) -> GridRow:
        """As a row of a table: red where its date has passed, since nothing here says that it was done."""
        past = self.until is not None and self.until < today
        empty = self.owner is None or self.until is None
        kind = "fail" if past else ("inconclusive" if empty else "")
        return GridRow((self.what, self.owner or EMPTY, EMPTY if self.until is None else f"{self.until}"), kind)


def report_of(facts: IncidentFacts, now: dt.datetime, language: str | None) -> Document:
    """The draft of the report at `now`."""
    fields = list(_fields(facts))
    lines = escalation_of(facts.incident, facts.target, now) if facts.incident else []
    empty = [field for field in fields if field.value is None]
    actions = [Action.of(text) for event in facts.events for text in event.actions]
    late = sum(line.kind == "fail" for line in lines)
    return Document(
        title=Text("사고 보고서 (RCA 초안)", "Incident report (RCA draft)"),
        name=facts.name,
        when=Text(date_time(facts.since.isoformat()).ko, date_time(facts.since.isoformat()).en),
        state=_state(len(empty), late),
        kind="reject" if late else "hold",
        language=language or facts.target.language,
        chapters=(
            Chapter(Text("빈 항목", "Empty fields"), tuple(_empty(field) for field in empty)),
            Chapter(Text("개요", "Summary"), grids=(Grid(_heads("항목", "field", "내용", "value"), _rows(fields)),)),
            Chapter(Text("고객사 통지와 에스컬레이션", "Customer notice and escalation"),
                    () if lines else (Note(same(say("never declared: nothing was recorded")), "inconclusive"),),
                    (grid_of(lines),) if lines else ()),
            Chapter(Text("타임라인 (UTC, 출처별)", "Timeline (UTC, by source)"), tuple(_problems(facts)),
                    (_times(facts),)),
            Chapter(Text("후속 재발 방지 액션", "Actions that keep it from happening again"),
                    () if actions else (Note(EMPTY, "inconclusive"),),
                    (Grid((Text("조치", "action"), Text("담당", "owner"), Text("기한", "date")),
                          tuple(action.row(now.date()) for action in actions)),)),
        ),
    )  # fmt: skip


def _state(empty: int, late: int) -> Text:
    parts = [Text("초안", "DRAFT")]
    parts += [Text(f"빈 항목 {empty}", f"{empty} empty")] if empty else []
    parts += [Text(f"기한 지남 {late}", f"{late} late")] if late else []
    return Text(" · ".join(part.ko for part in parts), " · ".join(part.en for part in parts))


def _fields(facts: IncidentFacts) -> Iterator[Field]:
    """The fields of the runbook's report: 4 (classification, RCA), 5-7 and 7-5 (impact, loss, downtime)."""
    events, incident = facts.events, facts.incident
    rated = [event for event in events if event.severity]
    yield Field(
        Text("심각도", "severity"),
        as_message(" → ".join(event.severity or "" for event in rated)) if rated else None,
        _source(rated[-1]) if rated else UNKNOWN,
        "opsverify dr mark note --severity sev1|sev2|sev3",
    )
    occurred = events[0].disaster_at if events else None
    yield Field(Text("발생", "occurred"), date_time(occurred) if occurred else None, DECLARED,
                "opsverify dr declare --disaster-at TIME")  # fmt: skip
    alert = facts.alerts[0] if facts.alerts else None
    yield Field(Text("첫 알람", "first alert"), _at(alert.since, alert.name) if alert else None, ALERT,
                "Prometheus")  # fmt: skip
    red = next((run for run in facts.runs if run.verdict is not None and not run.well), None)
    yield Field(Text("통과하지 못한 첫 실행", "first run that did not pass"),
                _at(verdict_time(red), red.run_id) if red else None, RUN, "opsverify verify STAGE")  # fmt: skip
    yield Field(Text("선언", "declared"), _at(events[0].moment, events[0].by) if events else None, DECLARED,
                "opsverify dr declare")  # fmt: skip
    closed = incident.of("close") if incident else None
    yield Field(Text("종료", "closed"), _at(closed.moment, closed.by) if closed else None, MARKED,
                "opsverify dr mark close")  # fmt: skip
    outage = downtime(incident).outage if incident else None
    yield Field(Text("다운타임", "downtime"),
                as_message(str(outage)) if outage and outage.seconds is not None else None, MARKED,
                "opsverify dr mark switch")  # fmt: skip
    for name, key in ((Text("영향 구간", "impact"), "impact"), (Text("손실 데이터 유무", "data lost"), "loss"),
                      (Text("근본 원인", "root cause"), "root_cause")):  # fmt: skip
        told = [event for event in events if getattr(event, key)]
        value = join("; ", [getattr(event, key) for event in told]) if told else None
        yield Field(name, value, _source(told[-1]) if told else UNKNOWN, f"{_HOW} --{key.replace('_', '-')} TEXT")


def _at(moment: dt.datetime, what: str) -> Message:
    return say("{at} ({what})", at=date_time(moment.isoformat()), what=what)


def _source(event: Event) -> Text:
    source = DECLARED if event.step == "declare" else MARKED
    return Text(f"{source.ko} ({event.step}, {event.by})", f"{source.en} ({event.step}, {event.by})")


def _heads(ko: str, en: str, ko_value: str, en_value: str) -> tuple[Text, ...]:
    return (Text(ko, en), Text(ko_value, en_value), Text("출처", "source"))


def _rows(fields: Sequence[Field]) -> tuple[GridRow, ...]:
    return tuple(field.row for field in fields)


def _empty(field: Field) -> Note:
    return Note(Text(f"{field.name.ko}: {field.how}", f"{field.name.en}: {field.how}"), "inconclusive")


def _problems(facts: IncidentFacts) -> Iterator[Note]:
    if facts.alerts_problem:
        yield Note(same(say("alerts: not known: {reason}", reason=facts.alerts_problem)), "inconclusive")


def _times(facts: IncidentFacts) -> Grid:
    heads = (Text("시각", "time"), Text("경과", "after"), Text("출처", "source"), Text("내용", "what"),
             Text("누가", "by"))  # fmt: skip
    events = in_order(
        (*(recorded(facts.incident) if facts.incident else ()), *map(of_run, facts.runs), *map(of_alert, facts.alerts))
    )
    return Grid(heads, tuple(_time(event, events[0].at) for event in events))


def _time(event: TimedEvent, first: dt.datetime) -> GridRow:
    after = f"+{elapsed((event.at - first).total_seconds())}"
    at = f"{event.at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}"
    return GridRow((at, after, event.source, cell(event.what), event.by), event.kind)
