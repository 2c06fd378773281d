"""Specification of a check: id, lines, stages, titles; and the markers among the rows of a parametrized one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.core.runbook import lines, lines_of
from opsverify.core.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opsverify.config.model import Part, Target
    from opsverify.config.severity import Severity


@dataclass(frozen=True)
class CheckSpec:
    """The specification of one check, as `@runbook` gives it."""

    id: str
    lines: tuple[str, ...]
    stages: tuple[str, ...]
    severity: Severity
    ko: str
    en: str
    owner: str | None = None
    needs: tuple[Part, ...] = ()
    where: tuple[str, Callable[[Target], object]] | None = None
    signals: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ours = lines_of(None)  # to know the project's own takes a search for the project: for a line of its own only
        unknown = [line for line in self.lines if line not in ours and line not in lines()]
        unknown += [name for name in self.stages if name not in STAGES]
        if unknown or not self.lines:
            raise ValueError(f"check {self.id}: no such runbook line or stage: {', '.join(unknown) or 'no line given'}")


@dataclass(frozen=True)
class Row:
    """A row of a table of checks: a parameter with its own specification."""

    spec: CheckSpec

    @property
    def not_applicable(self) -> str | None:
        """Why this row's check is not applicable on the target; None where it is."""
        return None

    @property
    def cannot_run(self) -> str | None:
        """Why this row's check cannot run; None where it can."""
        return None


@dataclass(frozen=True)
class Absent:
    """In place of rows where the target lists none: the check is then not applicable."""

    what: str


@dataclass(frozen=True)
class Inapplicable:
    """In place of one row that the target declares absent: planned by its name, and not applicable."""

    name: str
    reason: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Unknown:
    """In place of rows that cannot be determined: the check is then planned, and inconclusive."""

    reason: str


@dataclass(frozen=True)
class PerTarget:
    """An argument of a check whose values are rows of the target."""

    argument: str
    rows: Callable[[Target], Sequence[Any]]
    name: Callable[[Any], str]
    what: str
