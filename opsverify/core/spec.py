"""The runbook's lines, and the decorator by which a test says which of them it carries out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from opsverify.core.runbook import lines
from opsverify.core.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opsverify.config.model import Part, Severity, Target

Test = TypeVar("Test", bound="Callable[..., None]")


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


def runbook(
    *runbook_lines: str,
    id: str,  # noqa: A002 - the word of the design page and of verdict.json
    stages: Sequence[str],
    severity: Severity,
    ko: str,
    en: str,
    owner: str | None = None,
    needs: Sequence[Part] = (),
    where: tuple[str, Callable[[Target], object]] | None = None,
) -> Callable[[Test], Test]:
    """Make a test function a check that carries out `runbook_lines` in `stages`.

    The id of a parametrized test gets its parameters' ids appended in brackets, its titles too. `needs`
    names parts without which the check is not applicable (where the target declares them absent); `where` a
    condition on the target, with the name of what it lacks where that does not hold.
    Raises ValueError for a line or stage that does not exist.
    """
    spec = CheckSpec(id, tuple(runbook_lines), tuple(stages), severity, ko, en, owner, tuple(needs), where)
    return pytest.mark.opsverify(spec)


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


def per(
    argument: str, rows: Callable[[Target], Sequence[Any]], name: Callable[[Any], str] = str, what: str = ""
) -> Callable[[Test], Test]:
    """Run a check once for each of `rows(target)`; `name(row)` is the ASCII id of a row, `what` says what rows are."""

    def mark(test: Test) -> Test:
        test.__dict__.setdefault("opsverify_per", []).append(PerTarget(argument, rows, name, what or argument))
        return test

    return mark
