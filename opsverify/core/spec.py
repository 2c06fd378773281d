"""Specification of a check: id, lines, stages, titles; and the markers among the rows of a parametrized one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.config.parts import PARTS
from opsverify.config.severity import SEVERITIES
from opsverify.core.runbook import lines, lines_of
from opsverify.core.stages import STAGES, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opsverify.config.model import Target
    from opsverify.config.parts import Part
    from opsverify.config.severity import Severity

_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(\[.*\])?", re.DOTALL)
"""An id; what a target names (a table, a line of production) stands in brackets behind it."""


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
        self._refuse_wrong_fields()
        ours = lines_of(None)  # to know the project's own takes a search for the project: for a line of its own only
        unknown = [line for line in self.lines if line not in ours and line not in lines()]
        unknown += [name for name in self.stages if name not in STAGES]
        if unknown or not self.lines:
            raise ValueError(f"check {self.id}: no such runbook line or stage: {', '.join(unknown) or 'no line given'}")

    def _refuse_wrong_fields(self) -> None:
        """What is only read when the run ends would take the whole run with it."""
        if not _ID.fullmatch(self.id):
            raise ValueError(
                f"check {self.id}: the id has other characters than a to z, 0 to 9, '_', '.' and '-'; "
                "titles are in any language, ids are for programs"
            )
        if self.severity not in SEVERITIES:
            raise ValueError(f"check {self.id}: severity {self.severity!r}: expected one of {', '.join(SEVERITIES)}")
        for field, given in (("lines", self.lines), ("stages", self.stages), ("needs", self.needs),
                             ("signals", self.signals)):  # fmt: skip
            if isinstance(given, str):
                written = f'("{given}",)'
                raise ValueError(f"check {self.id}: {field}={given!r} is a text: write {written}, with a comma")  # noqa: TRY004 - as for every field
        if unknown := [part for part in self.needs if part not in PARTS]:
            raise ValueError(
                f"check {self.id}: needs: no part {', '.join(map(repr, unknown))}"
                f"{nearest(unknown[0], PARTS)}; parts: {', '.join(PARTS)}"
            )


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
