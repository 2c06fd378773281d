"""Severity of a check or an incident, by the runbook's section 4: the worst first."""

from __future__ import annotations

from typing import Final, Literal, get_args

Severity = Literal["sev1", "sev2", "sev3"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
