"""Deadline of an incident: by when something has to be done, when it was, and how late that is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from opsverify.incident.checklist import CUSTOMER_NOTICE, TOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opsverify.config.incidents import IncidentHours
    from opsverify.incident.timeline import Incident

DeadlineState = Literal["no severity", "not wanted", "in time", "late", "waiting", "overdue"]


@dataclass(frozen=True)
class DueBy:
    """What is due (`customer-notice`, or a level of the escalation): `due` is None where nothing says when.

    `rated` is whether a severity was recorded at all; `done` the first time at which it was done.
    """

    what: str
    due: dt.datetime | None
    done: dt.datetime | None
    rated: bool

    def state(self, now: dt.datetime) -> DeadlineState:
        """What it has come to. Done at the very moment is in time, as is nothing done up to it."""
        if self.due is None:
            return "not wanted" if self.rated else "no severity"
        if self.done is not None:
            return "in time" if self.done <= self.due else "late"
        return "waiting" if now <= self.due else "overdue"

    def late_s(self, now: dt.datetime) -> float:
        """Seconds after `due` at which it was done, or that have passed without it; 0 where it is not late."""
        if self.due is None:
            return 0.0
        return max(0.0, ((self.done or now) - self.due).total_seconds())


def due_at(rated: Iterable[tuple[dt.datetime, str]], hours: Mapping[str, float]) -> dt.datetime | None:
    """The earliest deadline: of each severity, its hours after the moment at which it was recorded.

    A severity that is raised brings its own, and never puts off the one that already runs; one that is lowered ends
    none. None where no recorded severity has hours.
    """
    return min((at + dt.timedelta(seconds=hours[name]) for at, name in rated if name in hours), default=None)


def severities(incident: Incident) -> Sequence[tuple[dt.datetime, str]]:
    """When which severity was recorded; oldest first."""
    return [(event.moment, event.severity) for event in incident.events if event.severity]


def customer_notice(incident: Incident, hours: IncidentHours) -> DueBy:
    """By when the customers are told."""
    rated = severities(incident)
    done = min((event.moment for event in incident.events if event.step == CUSTOMER_NOTICE), default=None)
    return DueBy(CUSTOMER_NOTICE, due_at(rated, hours.notice_s()), done, rated=bool(rated))


def escalation(incident: Incident, hours: IncidentHours, known: Iterable[str] = ()) -> list[DueBy]:
    """By when each level is told: those that the hours name, those of `known`, and those that were told."""
    rated = severities(incident)
    told = [event for event in incident.events if event.step == TOLD and event.level]
    levels = dict.fromkeys((*hours.levels(), *known, *(event.level or "" for event in told)))
    return [
        DueBy(
            level,
            due_at(rated, hours.tell_s(level)),
            min((event.moment for event in told if event.level == level), default=None),
            rated=bool(rated),
        )
        for level in levels
    ]
