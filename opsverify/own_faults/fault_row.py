"""Fault rows of a project of one's own: commands that cause a fault and end it, and the checks that it makes fail."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, ValidationError, field_validator

from opsverify.config.section import Duration, Section
from opsverify.config.toml_text import read_toml
from opsverify.config.wrong_value import key_of, problem_of
from opsverify.core.pinned import PINS, loads
from opsverify.core.stages import stage_named
from opsverify.errors import TargetError
from opsverify.language.message import say
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ROWS: Final = "*.faults.toml"
"""Names of the files in a suite's folder."""


class FaultRow(Section):
    """One row: in `stage`, with the fault on, exactly the checks `red` do not pass, and perhaps `also`."""

    stage: str
    on: tuple[str, ...] = Field(min_length=1)
    off: tuple[str, ...] = Field(min_length=1)
    until: tuple[str, ...] = ()
    """A command that ends with 0 as soon as the fault has taken effect."""
    within: Duration = "1m"
    """How long each of the commands may take."""
    red: dict[str, Literal["fail", "inconclusive"]] = Field(min_length=1)
    also: tuple[str, ...] = ()

    @field_validator("stage")
    @classmethod
    def _stage_exists(cls, name: str) -> str:
        try:
            return stage_named(name).name
        except TargetError as error:
            raise ValueError(error.problems[0]) from error

    @property
    def name(self) -> str:
        """What the row is called: its stage and the checks that it makes fail."""
        return f"{self.stage}: {', '.join(self.red)}"

    @property
    def within_s(self) -> float:
        """`within` in seconds."""
        return parse_duration(self.within)


def matches(pattern: str, check: str) -> bool:
    """Whether `check` is meant by `pattern`, in which only `*` is special."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), check) is not None


def fault_rows(suites: Iterable[Path]) -> tuple[FaultRow, ...]:
    """All rows of the suites. Raises TargetError with one line for each fault of the files."""
    rows: list[FaultRow] = []
    problems: list[str] = []
    for path in (path for suite in suites for path in sorted(suite.glob(ROWS))):
        where = f"{path.parent.name}/{path.name}"
        try:
            content = read_toml(path, where)
        except TargetError as error:
            problems += error.problems
            continue
        if unknown := content.keys() - {"row"}:
            problems.append(say("{path}: unknown table {name}; expected [[row]]", path=where, name=min(unknown)))
        written = content.get("row", [])
        if not isinstance(written, list):
            problems.append(say("{path}: row: expected tables, each [[row]]", path=where))
            continue
        for number, row in enumerate(written):
            try:
                # pydantic's strict mode takes arrays for tuples only in their JSON form.
                rows.append(FaultRow.model_validate_json(json.dumps(row, default=str)))
            except ValidationError as error:
                problems += _problems(f"{where}: row[{number}]", error)
    if problems:
        raise TargetError(*problems)
    return tuple(rows)


def without_row(suites: Iterable[Path], rows: Iterable[FaultRow]) -> tuple[str, ...]:
    """The pinned checks of the suites that no row makes fail."""
    patterns = [pattern.partition("[")[0] for row in rows for pattern in row.red]
    pinned = [pin for suite in suites if (suite / PINS).is_file() for pin in loads((suite / PINS).read_text("utf-8"))]
    return tuple(
        pin.id
        for pin in pinned
        if not pin.function_only and not any(matches(pattern, pin.id.partition("[")[0]) for pattern in patterns)
    )


def _problems(where: str, error: ValidationError) -> Iterator[str]:
    for detail in error.errors():
        yield say("{path}: {key}: {problem}", path=where, key=key_of(detail), problem=problem_of(detail))
