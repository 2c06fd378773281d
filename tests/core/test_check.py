"""The `check` fixture's object: what it records, and how it ends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import pytest

from opsverify import CheckFailed, Inconclusive, Limit, Unreachable
from opsverify.core.interval import Interval

if TYPE_CHECKING:
    from opsverify.core.check import Check
    from tests.support.checks import Kept

RATE = Limit.parse("< 1 %", "ratio")


def test_within_the_limit(check: Check) -> None:
    """A value within its limit is recorded and lets the check pass."""
    assert check.measure("rate", 0.002, RATE, samples=4120, of="of 4,120 requests failed")
    check.conclude()
    (kept,) = check.measurements
    assert (kept.measured, kept.limit, kept.unit, kept.samples, kept.holds) == (
        0.002,
        "< 0.01",
        "ratio",
        4120,
        True,
    )
    assert kept.message == "0.2% of 4,120 requests failed, limit < 1%"


def test_outside_the_limit_fails_at_the_end(check: Check) -> None:
    """All is measured before the check fails, naming everything outside its limit and nothing else."""
    assert not check.measure("rate", 0.0231, RATE, samples=4120, of="of 4,120 requests failed")
    assert check.measure("other", 0.0, RATE)
    assert not check.expect("version", "1.4", "1.5")
    with pytest.raises(CheckFailed, match=r"^2.31% of 4,120 requests failed, limit < 1%; version 1.4, expected 1.5$"):
        check.conclude()
    assert len(check.measurements) == 3


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_no_value_is_inconclusive(check: Check, value: float | None) -> None:
    """None, NaN and infinity are inconclusive, neither pass nor fail."""
    with pytest.raises(Inconclusive, match="rate: no value"):
        check.measure("rate", value, RATE)
    assert check.measurements == []


@pytest.mark.parametrize(
    ("estimate", "outcome"),
    [
        (Interval(0.005, 0.001, 0.03), True),
        (Interval(0.02, 0.015, 0.03), False),
        (Interval(0.02, 0.005, 0.03), None),
        (Interval(0.02, 0.0, math.inf), None),
        (Interval(math.nan, 0.0, math.inf), None),
    ],
)
def test_estimates_fail_only_beyond_chance(check: Check, estimate: Interval, *, outcome: bool | None) -> None:
    """Outside the limit fails where the whole interval is; where chance may have done it, more must be observed."""
    if outcome is None:
        with pytest.raises(Inconclusive, match=r"by chance alone it may be .* observe longer|rate: no value"):
            check.measure_estimate("rate", estimate, RATE, samples=10, of="of 10 requests failed")
    else:
        assert check.measure_estimate("rate", estimate, RATE, samples=10, of="of 10 requests failed") is outcome


def test_measuring_nothing_is_inconclusive(check: Check) -> None:
    """A check that measured nothing cannot pass."""
    with pytest.raises(Inconclusive, match="without measuring anything"):
        check.conclude()


@pytest.mark.parametrize(("samples", "enough"), [(0, False), (199, False), (200, True)])
def test_enough(check: Check, samples: int, *, enough: bool) -> None:
    """Too few samples decide nothing, and the message says how to get more."""
    if enough:
        check.enough("judgments", samples)
    else:
        found = f"{samples} samples in the window, >= 200 needed; "
        with pytest.raises(Inconclusive, match=f"{found}lengthen prometheus.lookback, or send more traffic"):
            check.enough("judgments", samples)
        with pytest.raises(Inconclusive, match=f"{found}wait, or send more traffic"):
            check.enough("judgments", samples, "wait")


def test_must_answer(check: Check) -> None:
    """For a check's own subject no answer is a failure; any other hole stays one."""
    with pytest.raises(CheckFailed, match="refused"), check.must_answer("health"):
        raise Unreachable("refused")
    with pytest.raises(Inconclusive, match="odd"), check.must_answer("health"):
        raise Inconclusive("odd")
    (kept,) = check.measurements
    assert (kept.measured, kept.holds) == ("no answer", False)


def test_expect_all(check: Check) -> None:
    """Missing names are counted and listed."""
    assert check.expect_all("rules", ["a", "b"], {"a", "b", "c"})
    assert not check.expect_all("rules", ["a", "b", "c"], {"b"})
    assert check.measurements[1].message == "2 of 3 rules missing: a, c, limit == 0"


def test_fail(check: Check) -> None:
    """A check may fail at once."""
    with pytest.raises(CheckFailed, match="broken"):
        check.fail("broken")


def test_evidence(check: Check) -> None:
    """Steps and attachments reach the evidence."""
    with check.step("ask"):
        check.attach("answer", "42")
    kept = cast("Kept", check.evidence)
    assert kept.steps == ["ask"]
    assert kept.attached == [("answer", "42")]
