"""The table itself: a check that no fault turns red, or a fault that proves nothing, fails the build."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from opsverify.core.stages import STAGES
from sandbox import faults
from tests.proof.fault_table import SWITCHBACK, Row, base_of, declared, matches, rows, unused, variants
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping


ALL_ROWS = [*rows(), *rows(SWITCHBACK)]


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


def test_every_check_is_turned_red_by_some_fault(planned: Mapping[str, set[str]]) -> None:
    """A check that no fault turns red may be one that cannot fail."""
    assert set().union(*planned.values()) - declared(ALL_ROWS) == set()


def test_no_row_names_an_unknown_check(planned: Mapping[str, set[str]]) -> None:
    """A misspelt id would be a proof of nothing."""
    unknown = [
        (row.name, pattern)
        for row in ALL_ROWS
        for pattern in (*row.red, *row.also)
        if not any(matches(base_of(pattern), check) for check in planned[row.stage])
    ]
    assert unknown == []


def test_every_fault_is_used_or_excused() -> None:
    """Each fault of the sandbox turns something red, or the table says why it does not yet."""
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
    assert row.red or not row.fault
    if row.scope is not None:
        assert row.fault
        assert row.scope in faults.catalogue()[row.fault].scopes


def test_names_are_unique_and_every_stage_has_a_healthy_row() -> None:
    """A red proves something only where the same stage is green without the fault."""
    names = [row.name for row in ALL_ROWS]
    assert len(set(names)) == len(names)
    for table in (rows(), rows(SWITCHBACK)):
        assert {row.stage for row in table if not row.red} == {row.stage for row in table}
