"""Report settings of a target: the time zone whose weeks and months the periodic reports are about."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import field_validator

from opsverify.config.section import Section
from opsverify.language.message import say


class ReportConfig(Section):
    """`time_zone` says when a day, a week and a month begin."""

    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(say("time_zone {zone!r}: expected a name such as Asia/Seoul", zone=name)) from error
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.time_zone)
