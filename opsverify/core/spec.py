"""Specification of a check: what it says of itself, and what stands for the rows of a parametrized one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.core.runbook import lines
from opsverify.core.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opsverify.config.model import Part, Severity, Target


@dataclass(frozen=True)
class CheckSpec:
    """What a check says of itself."""

    id: str
    lines: tuple[str, ...]
    stages: tuple[str, ...]
    severity: Severity
    ko: str
    en: str
    owner: str | None = None
    needs: tuple[Part, ...] = ()
    where: tuple[str, Callable[[Target], object]] | None = None

    def __post_init__(self) -> None:
        unknown = [line for line in self.lines if line not in lines()]
        unknown += [name for name in self.stages if name not in STAGES]
        if unknown or not self.lines:
            raise ValueError(f"check {self.id}: no such runbook line or stage: {', '.join(unknown) or 'no line given'}")


@dataclass(frozen=True)
class Row:
    """A row of a table of checks: a parameter that brings its own description along."""

    spec: CheckSpec


@dataclass(frozen=True)
class Absent:
    """Stands for the rows of a table that the target leaves empty: the check is then not applicable."""

    what: str


@dataclass(frozen=True)
class Unknown:
    """Stands for rows that cannot be worked out: the check is then planned, and inconclusive."""

    reason: str


@dataclass(frozen=True)
class PerTarget:
    """An argument of a check whose values come from the target."""

    argument: str
    rows: Callable[[Target], Sequence[Any]]
    name: Callable[[Any], str]
    what: str
