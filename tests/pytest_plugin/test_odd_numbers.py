"""Numbers of other libraries in a check of one's own: measured as they are, and never the end of a run's verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Suite

CHECKS = """
from decimal import Decimal
from fractions import Fraction

from opsverify.core.results import Measurement

COUNT = Limit.parse(">= 1", "count")


@described("t.decimal")
def test_decimal(check):
    check.measure("revenue", Decimal("12.5"), COUNT, samples=Decimal(5))


@described("t.fraction")
def test_fraction(check):
    check.measure("share", Fraction(1, 500), RATE)


@described("t.text")
def test_text(check):
    check.measure("revenue", "12.5", COUNT)


@described("t.bool")
def test_bool(check):
    check.measure("revenue", True, COUNT)


@described("t.unwritable")
def test_unwritable(check):
    check.record(Measurement("revenue", {1, 2}, ">= 1", "count", holds=True))


@described("t.failed")
def test_failed(check):
    check.measure("errors", Decimal("0.5"), RATE)
"""


@pytest.mark.parametrize("way", ["cli", "cli-n2"])
def test_a_number_of_another_library_takes_no_verdict_with_it(suite: Suite, way: str) -> None:
    """What is no number, or cannot be written, is inconclusive by itself; a failure beside it is still a rejection."""
    suite.checks("numbers", CHECKS)
    ran = suite.run(way)
    assert ran.verdict is not None, ran
    assert (ran.code, ran.verdict["decision"]) == (1, "reject")
    outcomes = {name: outcome for name, outcome in ran.outcomes.items() if name != "t.whole"}
    assert outcomes == {
        "t.decimal": "pass", "t.fraction": "pass", "t.text": "inconclusive", "t.bool": "inconclusive",
        "t.unwritable": "inconclusive", "t.failed": "fail",
    }  # fmt: skip
    shown = {check["id"]: check for check in ran.verdict["checks"]}
    assert (shown["t.decimal"]["measured"], shown["t.decimal"]["samples"]) == (12.5, 5)
    assert "revenue: '12.5' (str) is no number; convert it" in shown["t.text"]["message"]
    assert "revenue: True (bool) is no number" in shown["t.bool"]["message"]
    assert "revenue: 수가 아님: True(bool)" in shown["t.bool"]["message_ko"]
    assert "measured, but the result cannot be written: " in shown["t.unwritable"]["message"]
