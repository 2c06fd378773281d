"""`faults.toml` as rows: what is broken, which checks must say so, which others may."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TABLE = Path(__file__).with_name("faults.toml")
SWITCHBACK = Path(__file__).with_name("switchback.toml")
"""Rows that run on two regions of their own, by `test_switchback.py`."""
NO_FAULT = "healthy"
NOTHING_RESTORED = dict.fromkeys(
    ("restore.rto", "restore.rpo_witnesses", "restore.random_table", "sql.*", "ledger.*", "consistency.*"),
    "inconclusive",
)
"""What a rehearsal cannot say where no server came up; `nothing_restored` adds it to a row's `red`."""


@dataclass(frozen=True)
class Row:
    """One proof: in `stage`, the fault or variant turns exactly `red` red, and perhaps `also`."""

    stage: str
    fault: str | None = None
    scope: str | None = None
    variant: str | None = None
    omit: str | None = None
    until: str | None = None
    after: str | None = None
    platform: bool = False
    restored: bool = False
    target: str | None = None
    says: str = ""
    backup_age_s: float = 0.0
    red: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The id of the row's test."""
        with_platform = "platform" if self.platform else None
        parts = (self.stage, self.after, with_platform, self.variant, self.target, self.omit, self.fault)
        return "-".join(filter(None, parts)) + ("" if self.fault or self.red else f"-{NO_FAULT}")

    @property
    def exit_code(self) -> int:
        """What the whole stage must end with."""
        if not self.red:
            return 0
        return 1 if "fail" in self.red.values() else 10

    def wrong(self, reds: Mapping[str, str]) -> list[str]:
        """What of `reds` (outcome by id) is not as declared, one line each."""
        lines = [
            f"{pattern} must be {expected}, and no such check is red"
            for pattern, expected in self.red.items()
            if not any(matches(pattern, check) for check in reds)
        ]
        for check, outcome in reds.items():
            expected = [said for pattern, said in self.red.items() if matches(pattern, check)]
            if expected and outcome not in expected:
                lines.append(f"{check} is {outcome}, declared {expected[0]}")
            if not expected and not any(matches(pattern, check) for pattern in self.also):
                lines.append(f"{check} is {outcome}, which is not declared")
        return lines


def matches(pattern: str, check: str) -> bool:
    """Whether `check` is meant by `pattern`, in which only `*` is special."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), check) is not None


def rows(table: Path = TABLE) -> list[Row]:
    """All rows of one table, in the order in which they are run."""
    return [_row(**row) for row in _table(table)["row"]]


def _row(*, nothing_restored: bool = False, also: Iterable[str] = (), **said: Any) -> Row:  # noqa: ANN401 - TOML
    red = {**(NOTHING_RESTORED if nothing_restored else {}), **said.pop("red", {})}
    return Row(red=red, also=tuple(also), **said)


def variants() -> dict[str, dict[str, Any]]:
    """What the variants change in the target file, by name; `certificate_days` adds an https service."""
    return dict(_table()["variant"])


def unused() -> dict[str, str]:
    """Faults of the sandbox that no row uses, with the reason."""
    return dict(_table()["unused"])


def base_of(check: str) -> str:
    """The id of a check without its parameter."""
    return check.partition("[")[0]


def declared(table: Iterable[Row]) -> set[str]:
    """Base ids of all checks that some row must turn red."""
    return {base_of(pattern) for row in table for pattern in row.red}


def _table(table: Path = TABLE) -> dict[str, Any]:
    return tomllib.loads(table.read_text(encoding="utf-8"))
