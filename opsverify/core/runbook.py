"""Lines of the runbook, each with the stages that have to carry it out: ours, and those of a project of one's own."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.config.project import OWN_RUNBOOK, is_own_project, project_root
from opsverify.language.message import Message, join, say

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

_OURS: Final = Path(__file__).resolve().parents[1] / "runbook.toml"


@dataclass(frozen=True)
class OutOfScope:
    """Why a line is not carried out on this platform, who decided it, and when."""

    owner: str
    reason: str
    since: dt.date

    @property
    def text(self) -> Message:
        """Reason, owner and date in one line."""
        return say("out of scope: {reason} ({owner}, {since})", reason=self.reason, owner=self.owner, since=self.since)


@dataclass(frozen=True)
class Line:
    """One line of the runbook and the stages that have to carry it out."""

    id: str
    ko: str
    en: str
    stages: tuple[str, ...]
    out_of_scope: OutOfScope | None = None

    @property
    def section(self) -> str:
        """The part of the id that `verdict.json` calls `runbook`: `8`, `2-1`, `1-daily`."""
        return self.id.partition("/")[0]


def lines() -> dict[str, Line]:
    """Every line by id: those of opsverify, and those of the project's own `runbook.toml`.

    Raises TargetError with one line for each fault of the project's file.
    """
    root = project_root()
    return lines_of(root if is_own_project(root) else None)


@functools.cache
def lines_of(project: Path | None) -> dict[str, Line]:
    """The lines as of `lines`, with the own runbook of `project` (None: only ours)."""
    raw = tomllib.loads(_OURS.read_text(encoding="utf-8"))
    built_in = {row["id"]: Line(row["id"], row["ko"], row["en"], tuple(row["stages"])) for row in raw["line"]}
    if project is None:
        return built_in
    from opsverify.core.own_runbook import read  # noqa: PLC0415 - pydantic, and most runs have no runbook of their own

    own = read(project / OWN_RUNBOOK, built_in)
    found = built_in | {row.id: Line(row.id, row.ko, row.en, row.stages) for row in own.line}
    for row in own.out_of_scope:
        line = found[row.line]
        scope = OutOfScope(row.owner, row.reason, row.since)
        found[row.line] = Line(line.id, line.ko, line.en, line.stages, scope)
    return found


def scope_of(ids: Iterable[str], known: Mapping[str, Line]) -> Message | None:
    """Why a check of these of the `known` lines is not applicable: all are out of scope. None where one is in scope."""
    scopes = [known[line].out_of_scope if line in known else None for line in ids]
    if not scopes or not all(scopes):
        return None
    return join("; ", dict.fromkeys(scope.text for scope in scopes if scope))
