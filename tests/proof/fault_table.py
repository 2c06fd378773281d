"""Fault rows: which checks must fail, in which stage, while which fault is on.

The rows lie beside the checks: `checks/test_daily.faults.toml` beside `checks/test_daily.py`. All `*.faults.toml` of
the suites together are the table. Rows without `after` run on the sandbox (`test_faults.py`), rows with it on two
regions (`test_switchback.py`).

    [[row]]
    stage = "daily"
    fault = "llm_cost"
    red = { "daily.llm_cost" = "fail" }

stage     the stage that is run
fault     a fault of the sandbox (`./run sandbox faults`) or, with `after`, of `regions_faults.py`; none: all is healthy
scope     `all`, `canary` or `stable`; the fault's first one if left out
variant   a change of the target file: a table `[variant.NAME]` in any of the files
remedy    remedies of the sandbox (`./run sandbox remedies`) that are applied once the fault has taken effect
without_effect  true: the platform reports them and does not act on them
then      PromQL: the remedies have taken effect as soon as this returns a sample
omit      a step of the rollback that is left out (stage post-rollback)
until     PromQL: the fault has taken effect as soon as this returns a sample
platform  true: the rehearsal starts a platform on the restored database (10 s)
restored  true: the fault lies before the recovery target, so that the restored data has it
target    a recovery target that cannot be reached: `before-backup` or `beyond-archive`
after     the state of the two regions: one of STATES
last      true: the fault cannot be undone, so the row is the last one of its `after`
says      a regular expression: the fault by name, in a reason of the verdict and on the page of a rehearsal
window    how long a canary is observed, where eight seconds of it are too few to be sure of what is declared
backup_age_s  minimum age of the base backup, and how far the recovery target lies after it: damage to the first WAL
          segments of the archive then lies before the target, whichever rows ran before
red       the checks that must not pass, with their outcome (`fail` or `inconclusive`); all others must pass,
also      except these: the fault may reach them too
nothing_restored  true: no server starts, so `red` gets the checks of `[nothing_restored]` as well

`.venv/bin/python -m tests.proof.fault_table [TEXT]` prints the rows whose name holds TEXT.

`*` in the id of a check stands for any text, so `health.*` is a family.

Two files may hold a row of the same stage, fault, variant, target, `omit`, `after` and `platform`: they are one row,
with the checks of both. A new check that an existing row must make fail therefore needs a row in its own file only.
Further tables, in any file: `[also]` with stages as keys, for checks that may fail in every row of the stage in which
others must; `[nothing_restored]`.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from opsverify.core.stages import STAGES
from opsverify.own_faults.fault_row import matches
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SUITES = ("checks", "smoke", "dr_validation")
STATES = ("promoted", "started_old", "reverse", "dr_as_standby")
"""What has happened to the two regions, in the order of an incident."""
HEALTHY = "healthy"
_UNUSED = REPOSITORY / "tests" / "proof" / "unused_faults.toml"
_MERGED = ("red", "also")


@dataclass(frozen=True)
class Row:
    """One proof: in `stage`, with the fault or variant, exactly the checks `red` do not pass, and perhaps `also`."""

    stage: str
    fault: str | None = None
    scope: str | None = None
    variant: str | None = None
    omit: str | None = None
    until: str | None = None
    remedy: tuple[str, ...] = ()
    without_effect: bool = False
    then: str | None = None
    after: str | None = None
    last: bool = False
    platform: bool = False
    restored: bool = False
    nothing_restored: bool = False
    target: str | None = None
    window: str | None = None
    says: str = ""
    backup_age_s: float = 0.0
    red: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The id of the row's test."""
        with_platform = "platform" if self.platform else None
        parts = (self.stage, self.after, with_platform, self.variant, self.target, self.omit, self.fault, *self.remedy)
        effect = "-without-effect" if self.without_effect else ""
        return "-".join(filter(None, parts)) + effect + ("" if self.fault or self.red else f"-{HEALTHY}")

    @property
    def exit_code(self) -> int:
        """What the whole stage must end with."""
        if not self.red:
            return 0
        return 1 if "fail" in self.red.values() else 10

    def wrong(self, reds: Mapping[str, str]) -> list[str]:
        """What of `reds` (outcome by id) is not as declared, one line each."""
        lines = [
            f"{pattern} must be {expected}: no such check failed"
            for pattern, expected in self.red.items()
            if not any(matches(pattern, check) for check in reds)
        ]
        for check, outcome in reds.items():
            expected = [declared_as for pattern, declared_as in self.red.items() if matches(pattern, check)]
            if expected and outcome not in expected:
                lines.append(f"{check} is {outcome}, declared {expected[0]}")
            if not expected and not any(matches(pattern, check) for pattern in self.also):
                lines.append(f"{check} is {outcome}: not declared")
        return lines


def rows() -> list[Row]:
    """All rows that run on the sandbox, stage by stage, each stage's healthy rows first."""
    return [row for row in table().rows if row.after is None]


def region_rows() -> list[Row]:
    """All rows that run on two regions, in the order of an incident."""
    return [row for row in table().rows if row.after is not None]


def variants() -> dict[str, dict[str, Any]]:
    """What the variants change in the target file, by name; `certificate_days` adds an https service."""
    return table().variants


def unused() -> dict[str, str]:
    """Faults of the sandbox that no row uses, with the reason."""
    return dict(tomllib.loads(_UNUSED.read_text(encoding="utf-8")))


def base_of(check: str) -> str:
    """The id of a check without its parameter."""
    return check.partition("[")[0]


def declared(table_rows: Iterable[Row]) -> set[str]:
    """Base ids of all checks that some row requires to fail."""
    return {base_of(pattern) for row in table_rows for pattern in row.red}


@dataclass(frozen=True)
class Table:
    """The rows and variants of all files; `also` and `nothing_restored` are already in the rows."""

    rows: tuple[Row, ...]
    variants: dict[str, dict[str, Any]]
    also: Mapping[str, tuple[str, ...]]


@cache
def table() -> Table:
    """The whole table of the repository."""
    return collect(path for suite in SUITES for path in sorted((REPOSITORY / suite).glob("*.faults.toml")))


def collect(paths: Iterable[Path]) -> Table:
    """One table from many files. Raises ValueError, with file and row, for what contradicts or does not exist."""
    drafts: dict[str, dict[str, Any]] = {}
    variant: dict[str, dict[str, Any]] = {}
    also: dict[str, tuple[str, ...]] = {}
    nothing_restored: dict[str, str] = {}
    for path in paths:
        file = tomllib.loads(path.read_text(encoding="utf-8"))
        seen: set[str] = set()
        for written in file.pop("row", []):
            name = _name_of(written, path)
            if name in seen:
                raise ValueError(f"{path.name}: two rows {name}; make one of them")
            seen.add(name)
            drafts[name] = _merged(drafts.get(name, {}), written, f"{path.name}: row {name}")
        for name, change in file.pop("variant", {}).items():
            if name in variant:
                raise ValueError(f"{path.name}: variant {name} is in another file too; give it another name")
            variant[name] = change
        for stage, checks in file.pop("also", {}).items():
            also[stage] = (*also.get(stage, ()), *checks)
        nothing_restored |= file.pop("nothing_restored", {})
        if file:
            raise ValueError(
                f"{path.name}: unknown tables {', '.join(file)}; known: row, variant, also, nothing_restored"
            )
    return Table(
        tuple(sorted((_row(draft, also, nothing_restored) for draft in drafts.values()), key=_place)), variant, also
    )


def _name_of(written: Mapping[str, Any], path: Path) -> str:
    unknown = written.keys() - {each.name for each in fields(Row)}
    if unknown or "stage" not in written:
        raise ValueError(f"{path.name}: row {dict(written)}: unknown keys {sorted(unknown)}, or no stage")
    # Without `red`, so that the parts of one row have one name; a row that requires nothing is a healthy one.
    identity = {key: value for key, value in written.items() if key not in _MERGED}
    return Row(**identity).name


def _merged(draft: Mapping[str, Any], written: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`draft` with what another file adds to the row."""
    for key, value in written.items():
        if key not in _MERGED and draft.get(key, value) != value:
            raise ValueError(f"{where}: {key} is {draft[key]!r} in another file; give it there only")
    red = dict(draft.get("red", {}))
    for check, outcome in written.get("red", {}).items():
        if red.setdefault(check, outcome) != outcome:
            raise ValueError(f"{where}: {check} is {red[check]!r} in another file, {outcome!r} here")
    return {**draft, **written, "red": red, "also": (*draft.get("also", ()), *written.get("also", ()))}


def _row(draft: dict[str, Any], also: Mapping[str, tuple[str, ...]], nothing_restored: Mapping[str, str]) -> Row:
    red = {**(nothing_restored if draft.get("nothing_restored") else {}), **draft["red"]}
    by_stage = also.get(draft["stage"], ()) if red else ()
    remedy = tuple(draft.get("remedy", ()))
    return Row(**{**draft, "red": red, "also": (*draft["also"], *by_stage), "remedy": remedy})


def _place(row: Row) -> tuple[int, bool, int, bool]:
    """Where the row runs: regions by state, irreversible faults last; the sandbox by stage, healthy rows first."""
    state = STATES.index(row.after) if row.after in STATES else -1
    return state, row.last, list(STAGES).index(row.stage) if row.stage in STAGES else -1, bool(row.red or row.fault)


def main(text: str = "") -> None:
    """Print the rows whose name holds `text`, one a line."""
    for row in (*rows(), *region_rows()):
        if text in row.name:
            red = ", ".join(f"{check} ({outcome})" for check, outcome in row.red.items()) or "-"
            also = f"; may fail too: {', '.join(row.also)}" if row.also else ""
            sys.stdout.write(f"{row.name}: {red}{also}\n")


if __name__ == "__main__":
    main(*sys.argv[1:2])
