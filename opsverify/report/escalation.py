"""Escalation of an incident: which level had to be told by when, whom the calendar names, and what was marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.incident.checklist import CUSTOMER_NOTICE
from opsverify.incident.deadlines import DueBy, customer_notice, escalation, severities
from opsverify.language.message import Message, as_message, join, say
from opsverify.on_call.review import on_duty
from opsverify.report.dates import date_time
from opsverify.report.document import Grid, GridRow, cell
from opsverify.report.model import UNKNOWN, Text
from opsverify.units import elapsed

if TYPE_CHECKING:
    import datetime as dt

    from opsverify.config.model import Target
    from opsverify.incident.timeline import Incident

STATES: Final = {
    "in time": say("in time"),
    "late": say("late"),
    "waiting": say("not yet due"),
    "overdue": say("overdue"),
    "no severity": say("no severity recorded"),
    "not wanted": say("no hours given"),
}
HEADS: Final = (
    Text("대상", "who"), Text("당직 (달력)", "on duty (calendar)"), Text("기한 (UTC)", "due (UTC)"),
    Text("알린 시각 (UTC)", "told (UTC)"), Text("상태", "state"),
)  # fmt: skip
_NAMES: Final = {CUSTOMER_NOTICE: Text("고객사 통지", "customer-notice")}
_KINDS: Final = {"overdue": "fail", "late": "fail", "no severity": "inconclusive", "waiting": "inconclusive"}


@dataclass(frozen=True)
class EscalationLine:
    """One deadline of an incident at a moment; `people` are those whom the calendar names (None: no calendar)."""

    due: DueBy
    people: Message | None
    now: dt.datetime

    @property
    def kind(self) -> str:
        """`fail` where it is late, `inconclusive` where it is not done or cannot be known."""
        return _KINDS.get(self.due.state(self.now), "")

    @property
    def state(self) -> Message:
        """Its state, and by how much it is late or still in time."""
        state, word = self.due.state(self.now), STATES[self.due.state(self.now)]
        if state in ("late", "overdue"):
            return say("{state} by {time}", state=word, time=elapsed(self.due.late_s(self.now)))
        if state == "waiting" and self.due.due is not None:
            return say("{state}, {time} left", state=word, time=elapsed((self.due.due - self.now).total_seconds()))
        return word

    @property
    def row(self) -> GridRow:
        """As a row of a table."""
        times = (date_time(at.isoformat()) if at else as_message(UNKNOWN) for at in (self.due.due, self.due.done))
        people = as_message(UNKNOWN) if self.people is None else self.people
        return GridRow(
            (_NAMES.get(self.due.what, self.due.what), cell(people), *map(cell, times), cell(self.state)), self.kind
        )

    @property
    def text(self) -> Message:
        """As a line of the terminal."""
        due, done = (date_time(at.isoformat()) if at else as_message(UNKNOWN) for at in (self.due.due, self.due.done))
        people = as_message(UNKNOWN) if self.people is None else self.people
        return say("  {what:<16} {state}; due {due}, told {done}; on duty: {people}", what=self.due.what,
                   state=self.state, due=due, done=done, people=people)  # fmt: skip


def escalation_of(incident: Incident, target: Target, now: dt.datetime) -> list[EscalationLine]:
    """A line for each level and one for the customers, at `now`; who is on duty when the severity was recorded first.

    Without a severity: when the incident was declared.
    """
    rated = severities(incident)
    at = rated[0][0] if rated else incident.events[0].moment
    levels = tuple(target.on_call.levels) if target.on_call else ()
    people = _people(target, at)
    lines = [
        EscalationLine(due, people.get(due.what), now) for due in escalation(incident, target.incidents, known=levels)
    ]
    return [*lines, EscalationLine(customer_notice(incident, target.incidents), None, now)]


def grid_of(lines: list[EscalationLine]) -> Grid:
    """The lines as a table."""
    return Grid(HEADS, tuple(line.row for line in lines))


def _people(target: Target, at: dt.datetime) -> dict[str, Message]:
    """Whom the calendars name at a moment, by level; where they cannot be read, why."""
    if target.on_call is None:
        return {}
    try:
        found = on_duty(target.on_call, at)
    except Inconclusive as error:
        return dict.fromkeys(target.on_call.levels, say("unknown: {error}", error=error))
    return {level: join(", ", names) if names else say("nobody") for level, names in found.items()}
