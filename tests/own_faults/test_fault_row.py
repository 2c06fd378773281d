"""Fault rows of one's own, as files have them: read, refused by file, row and key, compared with the pinned checks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import TargetError
from opsverify.own_faults.fault_row import fault_rows, without_row

if TYPE_CHECKING:
    from pathlib import Path

ROW = """
[[row]]
stage = "daily"
on = ["touch", "fault"]
off = ["rm", "fault"]
red = { "own.flag" = "fail" }
"""
PINS = """
["own.flag"]
test = "test_flag.py::test_flag"
stages = ["daily"]
lines = ["own/flag"]
severity = "sev3"
ko = "점검"
en = "A check"

["own.other"]
test = "test_flag.py::test_other"
stages = ["daily"]
lines = ["own/flag"]
severity = "sev3"
ko = "점검"
en = "A check"

["test_journeys.py::test_journey"]
test = "test_journeys.py::test_journey"
"""


def _suite(folder: Path, text: str) -> Path:
    suite = folder / "checks"
    suite.mkdir()
    (suite / "test_flag.faults.toml").write_text(text)
    return suite


def test_a_row(tmp_path: Path) -> None:
    """What it does not say has a default."""
    (row,) = fault_rows([_suite(tmp_path, ROW)])
    assert (row.name, row.until, row.within_s, row.also) == ("daily: own.flag", (), 60, ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROW.replace("daily", "dayly"), "row[0]: stage: stage 'dayly': no such stage; did you mean 'daily'?"),
        (ROW.replace('"fail"', '"pass"'), "row[0]: red.own.flag: "),
        (ROW.replace("{ ", "{}#"), "row[0]: red: "),
        (ROW.replace('["rm", "fault"]', '"rm fault"'), "row[0]: off: "),
        (ROW.replace('["rm", "fault"]', "[]"), "row[0]: off: "),
        (ROW + 'within = "soon"\n', 'row[0]: within: "soon" is not a duration'),
        (ROW + "fault = 1\n", "row[0]: fault: "),
        ("[rows]\n", "unknown table rows; expected [[row]]"),
        ("[[row", "not valid TOML"),
        ("row = 3\n", "row: expected tables, each [[row]]"),
    ],
)
def test_a_fault_of_a_file(tmp_path: Path, text: str, said: str) -> None:
    """File, row, key and what was expected, in one line."""
    with pytest.raises(TargetError, match=re.escape(f"checks/test_flag.faults.toml: {said}")):
        fault_rows([_suite(tmp_path, text)])


def test_checks_without_a_row(tmp_path: Path) -> None:
    """A pinned check that no row makes fail is named; journeys, whose ids the target brings, are not."""
    suite = _suite(tmp_path, ROW)
    (suite / "plan.toml").write_text(PINS, encoding="utf-8")
    assert without_row([suite], fault_rows([suite])) == ("own.other",)
