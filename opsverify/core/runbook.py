"""Lines of the runbook, each with the stages that have to carry it out."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Line:
    """One line of the runbook and the stages that have to carry it out."""

    id: str
    ko: str
    en: str
    stages: tuple[str, ...]

    @property
    def section(self) -> str:
        """The part of the id that `verdict.json` calls `runbook`: `8`, `2-1`, `1-daily`."""
        return self.id.partition("/")[0]


@functools.cache
def lines() -> dict[str, Line]:
    """Every line of `runbook.toml` by id."""
    raw = tomllib.loads(resources.files("opsverify").joinpath("runbook.toml").read_text(encoding="utf-8"))
    return {row["id"]: Line(row["id"], row["ko"], row["en"], tuple(row["stages"])) for row in raw["line"]}
