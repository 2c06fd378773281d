"""Journeys of the smoke as data: the schema of `smoke/journeys.toml`, and its rows as checks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opsverify.config.project import SUITES_ROOT
from opsverify.config.severity import Severity  # noqa: TC001 - pydantic reads it
from opsverify.config.toml_text import read_toml
from opsverify.config.wrong_value import key_of, problem_of
from opsverify.core.spec import CheckSpec, Row
from opsverify.errors import TargetError
from opsverify.language.message import Message, as_message, say
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.config.model import Target
    from opsverify.config.parts import Part

SMOKE_STAGES = ("staging", "post-dr", "switchback")
PARTS: Mapping[str, tuple[Part, ...]] = {
    "request": ("services",),
    "sql": ("postgres",),
    "inbox": ("inbox",),
    "moved": ("prometheus",),
    "alert": ("alertmanager",),
    "tool": ("mcp",),
    "agree": ("prometheus", "postgres"),
}
"""The parts of a target that each kind of step uses."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpRequest(_Table):
    """A request to a service of the target."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    service: str
    path: str
    body: Any = Field(default=None, alias="json")


class ToolCall(_Table):
    """A call of an MCP server's tool."""

    server: str
    name: str
    arguments: dict[str, Any] = {}


class Agreement(_Table):
    """A counter's growth and a count in the database over the same time: they differ by `tolerance` at most."""

    signal: str
    sql: str
    tolerance: int = 0


class StepTitle(_Table):
    """A step's title in both languages."""

    ko: str
    en: str


class JourneyStep(_Table):
    """One step: exactly one of the kinds, and its expected result."""

    title: str | StepTitle
    request: HttpRequest | None = None
    sql: str | None = None
    inbox: str | None = None
    moved: str | None = None
    alert: dict[str, str] | None = None
    tool: ToolCall | None = None
    agree: Agreement | None = None
    status: int = 200
    expect: dict[str, Any] = {}
    keep: dict[str, str] = {}
    ends: dict[str, list[Any]] = {}
    by: int = 1
    within: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> JourneyStep:
        given = [kind for kind in PARTS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"step {self.name!r}: expected exactly one of {', '.join(PARTS)}, found {given or 'none'}")
        if self.within is not None:
            parse_duration(self.within)
        return self

    @property
    def name(self) -> Message:
        """Its title; a plain one is the same in both languages."""
        return as_message(self.title) if isinstance(self.title, str) else Message.of(self.title.en, self.title.ko)

    @property
    def needs(self) -> tuple[Part, ...]:
        """The parts of the target that the step uses."""
        return next(parts for kind, parts in PARTS.items() if getattr(self, kind) is not None)

    @property
    def signal(self) -> str | None:
        """The signal of the target that the step reads."""
        return self.agree.signal if self.agree else self.moved


class JourneyRow(_Table):
    """One journey of the file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    lines: tuple[str, ...]
    severity: Severity
    ko: str
    en: str
    stages: tuple[str, ...] = SMOKE_STAGES
    writes: bool = True
    step: tuple[JourneyStep, ...] = Field(min_length=1)


class JourneyFile(_Table):
    """The file: a list of journeys."""

    journey: tuple[JourneyRow, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Journey(Row):
    """A journey as a row of the smoke table."""

    name: str
    steps: tuple[JourneyStep, ...]
    writes: bool


def journeys_of(target: Target) -> list[Journey]:
    """The journeys of the files that `target.synthetic.journeys` names, relative to the working directory's project.

    Raises TargetError naming file, journey, step and the expected form.
    """
    return [journey for name in target.synthetic.journeys for journey in load_journeys(_find(name))]


def load_journeys(path: Path) -> list[Journey]:
    """Read one journey file. Raises TargetError with one line for each fault."""
    try:
        rows = JourneyFile.model_validate(read_toml(path)).journey
        return [_journey(row) for row in rows]
    except ValidationError as error:
        lines = (
            say("{path}: {key}: {problem}", path=path, key=key_of(detail), problem=problem_of(detail))
            for detail in error.errors()
        )
        raise TargetError(*lines) from error
    except ValueError as error:
        raise TargetError(say("{path}: {error}", path=path, error=error)) from error


def _journey(row: JourneyRow) -> Journey:
    needs = tuple(dict.fromkeys(part for step in row.step for part in step.needs))
    signals = tuple(dict.fromkeys(name for step in row.step if (name := step.signal)))
    spec = CheckSpec(
        f"smoke.{row.name}", row.lines, row.stages, row.severity, row.ko, row.en, needs=needs, signals=signals
    )
    return Journey(spec, row.name, row.step, row.writes)


def _find(name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or path.is_file():
        return path
    return SUITES_ROOT / path
