"""Decorators by which a test function becomes a check: `@runbook(...)`, once per row with `@per(...)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from opsverify.core.spec import CheckSpec, PerTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opsverify.config.model import Target
    from opsverify.config.parts import Part
    from opsverify.config.severity import Severity


_Name = TypeVar("_Name", bound=str)
Test = TypeVar("Test", bound="Callable[..., None]")


def runbook(
    *runbook_lines: str,
    id: str,  # noqa: A002 - the name in the design page and in verdict.json
    stages: Sequence[str],
    severity: Severity,
    ko: str,
    en: str,
    owner: str | None = None,
    needs: Sequence[Part] = (),
    where: tuple[str, Callable[[Target], object]] | None = None,
    signals: Sequence[str] = (),
) -> Callable[[Test], Test]:
    """Make a test function a check that carries out `runbook_lines` in `stages`.

    The id of a parametrized test gets its parameters' ids appended in brackets, its titles too. `needs`
    names parts without which the check is not applicable (where the target declares them absent); `where` a
    condition on the target, with the name of what is absent where it does not hold; `signals` the signals that it
    reads, each of which a target can declare absent with a reason.
    Raises ValueError for a line, stage, part or severity that does not exist.
    """
    spec = CheckSpec(
        id, runbook_lines, _several(stages), severity, ko, en, owner, _several(needs), where, _several(signals)
    )
    return pytest.mark.opsverify(spec)


def _several(names: Sequence[_Name]) -> tuple[_Name, ...]:
    """The names; a text alone, whose comma was forgotten, is left to be refused as one."""
    return names if isinstance(names, str) else tuple(names)  # type: ignore[return-value]


def per(
    argument: str, rows: Callable[[Target], Sequence[Any]], name: Callable[[Any], str] = str, what: str = ""
) -> Callable[[Test], Test]:
    """Run a check once for each of `rows(target)`; `name(row)` is the ASCII id of a row, `what` names the rows."""

    def mark(test: Test) -> Test:
        test.__dict__.setdefault("opsverify_per", []).append(PerTarget(argument, rows, name, what or argument))
        return test

    return mark
