"""Promptness of a target's incidents: which levels, or customers, were told too late or never (runbook 4)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.incident.deadlines import customer_notice, escalation
from opsverify.language.message import Message, say
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opsverify.config.incidents import IncidentHours
    from opsverify.incident.deadlines import DueBy
    from opsverify.incident.timeline import Incident

LOOKBACK: Final = dt.timedelta(days=92)
"""A quarter: incidents that were declared in it are reviewed."""


@dataclass(frozen=True)
class Promptness:
    """The deadlines of some incidents at `now`: `kept` in time, `waiting` not yet due, `late` told late or not at all.

    `unrated` are incidents of which nobody recorded a severity: by when anybody had to be told is not known.
    """

    incidents: int
    kept: int
    waiting: int
    late: tuple[Message, ...]
    unrated: tuple[str, ...]


def promptness(
    incidents: Iterable[Incident], hours: IncidentHours, levels: Sequence[str], now: dt.datetime
) -> Promptness:
    """Look at the incidents that were declared within `LOOKBACK` before `now`; `levels` are those of the calendar."""
    recent = [incident for incident in incidents if now - incident.events[0].moment <= LOOKBACK]
    found: dict[str, list[Message]] = {"in time": [], "waiting": [], "late": [], "overdue": []}
    for incident in recent:
        for due in (*escalation(incident, hours, known=levels), customer_notice(incident, hours)):
            found.setdefault(due.state(now), []).append(_text(incident, due, now))
    return Promptness(
        len(recent),
        len(found["in time"]),
        len(found["waiting"]),
        (*found["late"], *found["overdue"]),
        tuple(incident.id for incident in recent if not any(event.severity for event in incident.events)),
    )


def _text(incident: Incident, due: DueBy, now: dt.datetime) -> Message:
    by = elapsed(due.late_s(now))
    if due.done is None:
        return say("{incident}: {who} not told, {time} overdue", incident=incident.id, who=due.what, time=by)
    return say("{incident}: {who} told {time} late", incident=incident.id, who=due.what, time=by)
