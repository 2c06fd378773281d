"""How long clients were not served, from what was recorded: in the outage, and once more on the way back."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.incident.timeline import Incident


@dataclass(frozen=True)
class Interruption:
    """One stretch without service, between two entries of the timeline; None for one that is not on record."""

    name: str
    since: str
    until: str
    began: dt.datetime | None
    ended: dt.datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it was; None while one of its ends is missing, or where they contradict each other."""
        if self.began is None or self.ended is None or self.ended < self.began:
            return None
        return (self.ended - self.began).total_seconds()

    @property
    def problem(self) -> str | None:
        """Why its length is not known; None where it is."""
        missing = [name for name, at in ((self.since, self.began), (self.until, self.ended)) if at is None]
        if missing:
            return f"{self.name}: {' and '.join(missing)} not on record"
        return None if self.seconds is not None else f"{self.name}: {self.until} lies before {self.since}"

    def __str__(self) -> str:
        return self.problem or f"{self.name} {elapsed(self.seconds or 0.0)} ({self.since} to {self.until})"


@dataclass(frozen=True)
class Downtime:
    """The outage, and the interruption on the way back."""

    outage: Interruption
    way_back: Interruption

    @property
    def seconds(self) -> float | None:
        """Both together; None where one of them is not known."""
        outage, back = self.outage.seconds, self.way_back.seconds
        return None if outage is None or back is None else outage + back

    @property
    def problems(self) -> Iterator[str]:
        """Why it is not known."""
        return (why for part in (self.outage, self.way_back) if (why := part.problem))

    def __str__(self) -> str:
        total = "unknown" if self.seconds is None else elapsed(self.seconds)
        return f"downtime {total}: {self.outage}, {self.way_back}"


def downtime(incident: Incident) -> Downtime:
    """The downtime of `incident`: from the disaster to `switch`, and from `fence` to `return`.

    Where nobody said when the disaster was, its declaration counts.
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
        Interruption("way back", "fence", "return", at("fence"), at("return")),
    )
