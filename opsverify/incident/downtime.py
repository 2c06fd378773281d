"""Downtime, from the timeline: how long clients were not served, in the outage and in the switchback."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.language.message import join, say
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.incident.timeline import Incident


@dataclass(frozen=True)
class Interruption:
    """One stretch without service, between two entries of the timeline; None for one that is not recorded."""

    name: str
    since: str
    until: str
    began: dt.datetime | None
    ended: dt.datetime | None

    @property
    def seconds(self) -> float | None:
        """Its length; None while one of its ends is missing, or where they contradict each other."""
        if self.began is None or self.ended is None or self.ended < self.began:
            return None
        return (self.ended - self.began).total_seconds()

    @property
    def problem(self) -> str | None:
        """Why its length is unknown; None where it is known."""
        missing = [name for name, at in ((self.since, self.began), (self.until, self.ended)) if at is None]
        if missing:
            return say("{name}: {names} not recorded", name=self.name, names=join(say(" and "), missing))
        return (
            None
            if self.seconds is not None
            else say("{name}: {until} is before {since}", name=self.name, until=self.until, since=self.since)
        )

    def __str__(self) -> str:
        return self.problem or say(
            "{name} {elapsed} ({since} to {until})",
            name=self.name,
            elapsed=elapsed(self.seconds or 0.0),
            since=self.since,
            until=self.until,
        )


@dataclass(frozen=True)
class Downtime:
    """The outage, and the interruption of the switchback."""

    outage: Interruption
    switchback: Interruption

    @property
    def seconds(self) -> float | None:
        """Both together; None where one of them is unknown."""
        outage, back = self.outage.seconds, self.switchback.seconds
        return None if outage is None or back is None else outage + back

    @property
    def problems(self) -> Iterator[str]:
        """Why it is unknown."""
        return (why for part in (self.outage, self.switchback) if (why := part.problem))

    def __str__(self) -> str:
        total = say("unknown") if self.seconds is None else elapsed(self.seconds)
        return say(
            "downtime {total}: {outage}, {switchback}", total=total, outage=self.outage, switchback=self.switchback
        )


def downtime(incident: Incident) -> Downtime:
    """The downtime of `incident`: from the disaster to `switch`, and from `fence` to `return`.

    Without `disaster_at` the declaration counts.
    """
    declared = incident.events[0]
    if declared.disaster_at:
        outage = ("disaster", dt.datetime.fromisoformat(declared.disaster_at))
    else:
        outage = ("declare", declared.moment)

    def at(step: str) -> dt.datetime | None:
        event = incident.of(step)
        return event.moment if event else None

    return Downtime(
        Interruption("outage", outage[0], "switch", outage[1], at("switch")),
        Interruption("switchback", "fence", "return", at("fence"), at("return")),
    )
