"""Times of an incident, each with its source: what was declared and marked, the runs of its time, alerts that fired."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import EvidenceError
from opsverify.incident.checklist import STEPS, SWITCHBACK
from opsverify.language.message import Message, as_message, join, say
from opsverify.report.incident import FREE_EVENTS
from opsverify.report.model import Text
from opsverify.report.period_runs import runs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opsverify.evidence.target_state import TargetState
    from opsverify.incident.timeline import Event, Incident
    from opsverify.probes.prometheus_values import Series
    from opsverify.report.period_runs import PeriodRun

DECLARED: Final = Text("선언", "declared")
MARKED: Final = Text("기록", "marked")
RUN: Final = Text("실행", "run")
ALERT: Final = Text("알람", "alert")
_NAMED: Final = 3
SILENT_S: Final = 300.0
"""Seconds without a sample after which an alert that fires again is another one."""


@dataclass(frozen=True)
class TimedEvent:
    """One moment of an incident: its source, what it was, who recorded it ('' where nobody did), and its CSS class."""

    at: dt.datetime
    source: Text
    what: Message
    by: str = ""
    kind: str = ""


@dataclass(frozen=True)
class FiredAlert:
    """One alert that fired: from when to when, as far as its samples go."""

    name: str
    labels: str
    since: dt.datetime
    until: dt.datetime


def recorded(incident: Incident) -> Iterator[TimedEvent]:
    """The entries of the timeline."""
    first = incident.events[0]
    if first.disaster_at:
        yield TimedEvent(dt.datetime.fromisoformat(first.disaster_at), DECLARED, say("occurred"), first.by)
    for event in incident.events:
        source = DECLARED if event is first else MARKED
        yield TimedEvent(event.moment, source, _what(event), event.by, "fail" if event.exception else "")


def _what(event: Event) -> Message:
    step = next((step for step in (*STEPS, *SWITCHBACK) if step.name == event.step), None)
    title = step or FREE_EVENTS.get(event.step)
    parts = [
        Message.of(title.en, title.ko) if title else as_message(event.step),
        *(text for text in (event.severity, event.level, event.note) if text),
        *([say("evidence {run}", run=event.evidence)] if event.evidence else []),
        *([say("exception: {reason}", reason=event.exception)] if event.exception else []),
    ]
    return join(" · ", parts)


def ran(state: TargetState, since: dt.datetime, until: dt.datetime) -> list[PeriodRun]:
    """The runs that were begun in the time of the incident. Raises EvidenceError for a damaged state."""
    return [run for run in runs_of(state, since) if run.begun <= until]


def of_run(run: PeriodRun) -> TimedEvent:
    """A run, at its end; at its begin where its end is not known."""
    at = dt.datetime.fromisoformat(run.verdict["finished_at"]) if run.verdict else run.begun
    if run.problem:
        what = say("{run}: {problem}", run=run.run_id, problem=run.problem)
        return TimedEvent(at, RUN, what, kind="fail")
    failed = [check["id"] for check in run.red]
    what = say("{run}: {decision}", run=run.run_id, decision=run.decision)
    if failed:
        names = ", ".join(failed[:_NAMED]) + (", ..." if len(failed) > _NAMED else "")
        what = say("{what} ({count} checks not passed: {names})", what=what, count=len(failed), names=names)
    kind = "" if run.well else ("inconclusive" if run.decision == "hold" else "fail")
    return TimedEvent(at, RUN, what, kind=kind)


def fired(series: Iterable[Series]) -> list[FiredAlert]:
    """The alerts in the samples of `ALERTS{alertstate="firing"}`, in the order in which they began to fire."""
    found = []
    for one in series:
        name = one.labels.get("alertname", "")
        hidden = ("__name__", "alertname", "alertstate")
        labels = ", ".join(f"{key}={value}" for key, value in sorted(one.labels.items()) if key not in hidden)
        for begun, ended in _stretches([at for at, _ in one.points]):
            times = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (begun, ended))
            found.append(FiredAlert(name, labels, *times))
    return sorted(found, key=lambda alert: (alert.since, alert.name, alert.labels))


def _stretches(times: list[float]) -> Iterator[tuple[float, float]]:
    if not times:
        return
    begun = before = times[0]
    for at in times[1:]:
        if at - before > SILENT_S:
            yield begun, before
            begun = at
        before = at
    yield begun, before


def of_alert(alert: FiredAlert) -> TimedEvent:
    """An alert, when it began to fire."""
    what = say("{name} fires until {until} ({labels})", name=alert.name, until=f"{alert.until:%m-%d %H:%M:%S}",
               labels=alert.labels)  # fmt: skip
    return TimedEvent(alert.since, ALERT, what)


def in_order(events: Iterable[TimedEvent]) -> list[TimedEvent]:
    """By time; what was recorded for one moment stays in its order."""
    return sorted(events, key=lambda event: event.at)


def verdict_time(run: PeriodRun) -> dt.datetime:
    """When a run ended. Raises EvidenceError without verdict."""
    if run.verdict is None:
        raise EvidenceError(say("{run}: no verdict", run=run.run_id))
    return dt.datetime.fromisoformat(run.verdict["finished_at"])
