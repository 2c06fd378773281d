"""Restored data after a recovery, as the checks report it."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, cast

import pytest

from opsverify import CheckFailed, Inconclusive, validation_rows
from opsverify.recovery.ledger.ledger import Recorded
from opsverify.recovery.ledger.validations import read_validations
from opsverify.recovery.verify.recorded import RecordedData
from opsverify.recovery.verify.rows import recorded_before, recovery_target
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from opsverify.config.model import Target
    from opsverify.core.check import Check
    from tests.support.checks import Kept

AT = dt.datetime(2026, 11, 22, 20, 0, tzinfo=dt.UTC)
SQL = read_validations(REPOSITORY / "dr_validation" / "sql")
KEYS = ("2026-11-20-L03", "2026-11-21-L03")
FACT = "fact_daily_production"


def facts(rows: int = 24, produced: str = "1000") -> dict[str, int | str | None]:
    """One line's day."""
    return {"rows": rows, "planned_qty": "1100", "produced_qty": produced, "defect_qty": "3"}


def recovered(found: dict[str, dict[str, int | str | None]]) -> RecordedData:
    """Two recorded days of line L03, and what was found of them."""
    before = Recorded(1, AT - dt.timedelta(minutes=5), {FACT: {key: facts() for key in KEYS}}, {}, {})
    return RecordedData(before, {FACT: found}, SQL, AT)


def test_equal_facts_pass(check: Check) -> None:
    """What is as recorded passes, with the number of rows it rests on."""
    recovered({key: facts() for key in KEYS}).compare(check, FACT, KEYS[0])
    check.conclude()
    assert check.measurements[0].samples == 24


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({KEYS[1]: facts()}, "fact_daily_production 2026-11-20-L03: lost, recorded rows 24"),
        ({KEYS[0]: facts(rows=23)}, "fact_daily_production 2026-11-20-L03: rows 24 recorded, 23 found"),
        ({KEYS[0]: facts(produced="999")}, "produced_qty 1000 recorded, 999 found"),
    ],
)
def test_differences_fail(check: Check, found: dict[str, dict[str, int | str | None]], said: str) -> None:
    """A lost key, a lost row and a changed sum each fail, naming table, date and line."""
    recovered(found).compare(check, FACT, KEYS[0])
    with pytest.raises(CheckFailed) as raised:
        check.conclude()
    assert said in str(raised.value)
    shown = json.loads(dict(cast("Kept", check.evidence).attached)["recorded and found"])
    assert shown[KEYS[0]]["recorded"] == facts()


def test_only_the_asked_group_counts(check: Check) -> None:
    """Each line and date is judged by itself: another one's loss is another check's failure."""
    recovered({KEYS[0]: facts()}).compare(check, FACT, KEYS[0])
    check.conclude()


def test_nothing_recorded_is_inconclusive(target: Target) -> None:
    """Without ledger or recovery target nothing can be compared, and the message names what to give."""
    with pytest.raises(Inconclusive, match=r"missing \[recovery\] ledger"):
        recorded_before(target)
    with pytest.raises(Inconclusive, match="--recovery-target TIME"):
        recovery_target(target)
    assert [(row.spec.id, "[recovery] ledger" in str(row.cannot_run)) for row in validation_rows(target)] == [
        ("sql.judgment_executions", True), ("sql.workflow_instances", True), ("sql.fact_daily_production", True),
    ]  # fmt: skip
