"""The fault table itself: a check that no fault makes fail, or a fault that proves nothing, fails the build."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from opsverify.core.stages import STAGES
from opsverify.own_faults.fault_row import matches
from sandbox import faults, remedies
from tests.proof.fault_table import (
    STATES,
    Row,
    base_of,
    collect,
    declared,
    region_rows,
    rows,
    table,
    unused,
    variants,
)
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


ALL_ROWS = [*rows(), *region_rows()]


@pytest.fixture(scope="module")
def planned() -> Mapping[str, set[str]]:
    """Base ids of the checks of every stage, as `opsverify plan` lists them; nothing is contacted."""
    found = {}
    for stage in STAGES:
        said = subprocess.run(
            [
                sys.executable, "-m", "opsverify", "plan", stage, "--json",
                "--target", str(REPOSITORY / "targets" / "sandbox.toml"),
            ],
            capture_output=True, text=True, check=True, cwd=REPOSITORY,
        )  # fmt: skip
        checks = json.loads(said.stdout)["checks"]
        found[stage] = {base_of(check["id"]) for check in checks if check["nodeid"]}
    return found


def test_every_check_is_made_to_fail_by_some_fault(planned: Mapping[str, set[str]]) -> None:
    """A check that no fault makes fail may be one that cannot fail."""
    assert set().union(*planned.values()) - declared(ALL_ROWS) == set()


def test_no_row_names_an_unknown_check(planned: Mapping[str, set[str]]) -> None:
    """A misspelt id would be a proof of nothing."""
    unknown = [
        (row.name, pattern)
        for row in ALL_ROWS
        for pattern in (*row.red, *row.also)
        if not any(matches(base_of(pattern), check) for check in planned[row.stage])
    ]
    unknown += [
        (f"[also] {stage}", pattern)
        for stage, patterns in table().also.items()
        for pattern in patterns
        if not any(matches(base_of(pattern), check) for check in planned[stage])
    ]
    assert unknown == []


def test_every_fault_is_used_or_excused() -> None:
    """Each fault of the sandbox makes a check fail, or unused_faults.toml gives the reason why not yet."""
    used = {row.fault for row in rows() if row.fault}
    assert used | unused().keys() == faults.catalogue().keys()
    assert used & unused().keys() == set()
    assert all(reason.strip() for reason in unused().values())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_row_is_well_formed(row: Row) -> None:
    """Stage, scope, variant and outcomes exist; a row with no fault and no variant declares health."""
    assert row.stage in STAGES
    assert row.variant is None or row.variant in variants()
    assert set(row.red.values()) <= {"fail", "inconclusive"}
    assert row.red or not row.fault or row.remedy
    assert set(row.remedy) <= remedies.catalogue().keys()
    assert bool(row.then) == bool(row.remedy and not row.without_effect)
    if row.scope is not None:
        assert row.fault
        assert row.scope in faults.catalogue()[row.fault].scopes


def test_names_are_unique_and_every_stage_has_a_healthy_row() -> None:
    """A failure proves something only where the same stage passes without the fault."""
    names = [row.name for row in ALL_ROWS]
    assert len(set(names)) == len(names)
    for some in (rows(), region_rows()):
        assert {row.stage for row in some if not row.red} == {row.stage for row in some}


def test_region_rows_are_well_formed() -> None:
    """Their state exists, and what cannot be undone runs last in it."""
    assert {row.after for row in region_rows()} <= set(STATES)
    for state in STATES:
        irreversible = [row.last for row in region_rows() if row.after == state]
        assert irreversible == sorted(irreversible)
        assert sum(irreversible) <= 1


def _files(folder: Path, **texts: str) -> list[Path]:
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"{name}.faults.toml")
        paths[-1].write_text(text, encoding="utf-8")
    return paths


def test_rows_of_two_files_are_one_row(tmp_path: Path) -> None:
    """A new check joins the row of an existing fault from its own file."""
    old = '[[row]]\nstage = "daily"\nfault = "f"\nuntil = "up"\nred = { "a.b" = "fail" }\nalso = ["x.*"]\n'
    new = '[[row]]\nstage = "daily"\nfault = "f"\nred = { "c.d" = "inconclusive" }\n'
    (row,) = collect(_files(tmp_path, old=old, new=new)).rows
    assert row == Row("daily", "f", until="up", red={"a.b": "fail", "c.d": "inconclusive"}, also=("x.*",))


def test_a_default_of_a_stage_reaches_its_failing_rows_only(tmp_path: Path) -> None:
    """A healthy row stays one in which everything passes."""
    text = '[also]\ndaily = ["a.*"]\n[[row]]\nstage = "daily"\n'
    text += "".join(
        f'[[row]]\nstage = "{stage}"\nfault = "f"\nred = {{ "b.c" = "fail" }}\n' for stage in ("daily", "weekly")
    )
    also = {row.name: row.also for row in collect(_files(tmp_path, one=text)).rows}
    assert also == {"daily-healthy": (), "daily-f": ("a.*",), "weekly-f": ()}


@pytest.mark.parametrize(
    ("one", "other", "problem"),
    [
        ('until = "up"', 'until = "down"', "until is 'up' in another file"),
        ('red = { "a.b" = "fail" }', 'red = { "a.b" = "inconclusive" }', "a.b is 'fail' in another file"),
        ("", 'colour = "up"', "unknown keys ['colour']"),
        ("", '[[rwo]]\nstage = "daily"', "unknown tables rwo"),
        ("", '[[row]]\nstage = "daily"\nfault = "f"', "two rows daily-f"),
    ],
)
def test_contradictions_are_errors(tmp_path: Path, one: str, other: str, problem: str) -> None:
    """Neither of two statements about one row gets lost."""
    row = '[[row]]\nstage = "daily"\nfault = "f"\n'
    with pytest.raises(ValueError, match=re.escape(problem)):
        collect(_files(tmp_path, one=row + one, other=row + other))
