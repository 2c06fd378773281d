"""Incident hours of a target: by when customers and each level of the escalation are told, by severity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from opsverify.config.section import Duration, Section
from opsverify.config.severity import SEVERITIES
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping


class SeverityHours(Section):
    """Times from the moment at which the severity was recorded; a level that is not named need not be told."""

    customer_notice: Duration | None = None
    tell: dict[str, Duration] = Field(default_factory=dict)


class IncidentHours(Section):
    """The hours of each severity of the runbook: Sev1 service interrupted, Sev2 in part or slow, Sev3 minor."""

    sev1: SeverityHours = SeverityHours()
    sev2: SeverityHours = SeverityHours()
    sev3: SeverityHours = SeverityHours()

    def of(self, severity: str) -> SeverityHours:
        """The hours of `sev1`, `sev2` or `sev3`."""
        return {"sev1": self.sev1, "sev2": self.sev2, "sev3": self.sev3}[severity]

    def notice_s(self) -> Mapping[str, float]:
        """Seconds until customers are told, by severity; without those that have none."""
        found = {name: self.of(name).customer_notice for name in SEVERITIES}
        return {name: parse_duration(text) for name, text in found.items() if text is not None}

    def levels(self) -> tuple[str, ...]:
        """The levels that any severity names, in the order in which they are named first."""
        return tuple(dict.fromkeys(level for name in SEVERITIES for level in self.of(name).tell))

    def tell_s(self, level: str) -> Mapping[str, float]:
        """Seconds until `level` is told, by severity; without those that do not name it."""
        found = {name: self.of(name).tell.get(level) for name in SEVERITIES}
        return {name: parse_duration(text) for name, text in found.items() if text is not None}
