"""On-call schedule of a target: one calendar for each level, the names in them, and how far ahead they must reach."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, model_validator

from opsverify.config.section import Duration, Section
from opsverify.language.message import say
from opsverify.units import parse_duration

FORMS = (".ics", ".toml", ".json")


class OnCallLevel(Section):
    """One level of the escalation (`L1`) and its calendar."""

    calendar: str


class OnCall(Section):
    """Calendars by level, lowest first (`L1`, `L2`, `L3`), and one of leave; paths relative to the target file.

    `.ics` is iCalendar, `.toml` a rotation or a list of shifts, `.json` an export of PagerDuty or Opsgenie. `people`
    maps each person to the names by which the calendars know them; `time_zone` is that of entries without one that
    last whole days.
    """

    levels: dict[str, OnCallLevel] = Field(min_length=1)
    people: dict[str, tuple[str, ...]] = Field(min_length=1)
    leave: str | None = None
    time_zone: str | None = None
    period: Duration = "28d"

    @property
    def period_s(self) -> float:
        """Seconds that must be covered, from now on."""
        return parse_duration(self.period)

    @model_validator(mode="after")
    def _known_forms(self) -> OnCall:
        for path in (*(level.calendar for level in self.levels.values()), *([self.leave] if self.leave else [])):
            if not path.endswith(FORMS):
                raise ValueError(
                    say("{path}: no calendar; expected a file with {forms}", path=path, forms=", ".join(FORMS))
                )
        if self.time_zone is not None:
            try:
                ZoneInfo(self.time_zone)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(
                    say("time_zone {zone!r}: expected a name such as Asia/Seoul", zone=self.time_zone)
                ) from error
        return self
