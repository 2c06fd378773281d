"""Numbers that are measured: plain ones, whatever library they come from."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from opsverify import Inconclusive, Limit
from opsverify.core.interval import Interval
from opsverify.core.results import Measurement
from opsverify.probes.local_timer import Elapsed

if TYPE_CHECKING:
    from opsverify.core.check import Check

COUNT = Limit.parse(">= 1", "count")
NUMBERS = [
    (5, 5), (Decimal(5), 5), (Decimal("12.5"), 12.5), (Fraction(1, 4), 0.25), (np.int64(7), 7), (np.uint8(7), 7),
    (np.float32(0.5), 0.5), (np.float64(0.5), 0.5), (Elapsed(1.5), 1.5),
]  # fmt: skip


@pytest.mark.parametrize(("given", "plain"), NUMBERS, ids=lambda value: f"{type(value).__name__}-{value}")
def test_any_number_is_kept_as_a_plain_one(given: Any, plain: float) -> None:  # noqa: ANN401 - any number
    """Evidence is JSON, which knows int and float alone."""
    kept = Measurement.of("revenue", given, COUNT)
    assert (type(kept.measured), kept.measured) == (type(plain), plain)
    assert kept.by_clock == isinstance(given, Elapsed)
    assert json.loads(json.dumps(kept.to_dict()))["measured"] == plain


@pytest.mark.parametrize("given", ["5", True, np.bool_(1), 1j, b"5", [5], None], ids=repr)
def test_what_is_no_number_is_said_with_the_measurement(given: Any) -> None:  # noqa: ANN401 - anything
    """A text that looks like a number, and True for one, are slips of a check."""
    with pytest.raises(TypeError, match=r"^revenue: .* is no number; convert it$"):
        Measurement.of("revenue", given, COUNT)


@pytest.mark.parametrize("given", [Decimal(5), np.int64(5), 5.0])
def test_samples_are_a_whole_number(given: Any) -> None:  # noqa: ANN401 - any number
    """A count that a query returns as a Decimal is shown and kept like one of ours."""
    kept = Measurement.of("revenue", 2, COUNT, samples=given)
    assert (type(kept.samples), kept.samples) == (int, 5)
    assert kept.message == "revenue 2 of 5 samples, limit >= 1"


@pytest.mark.parametrize("given", [5.5, math.nan, math.inf, "5", True])
def test_samples_that_are_no_count(given: Any) -> None:  # noqa: ANN401 - anything
    """Half a sample was not taken."""
    with pytest.raises(TypeError, match=r"^revenue: "):
        Measurement.of("revenue", 2, COUNT, samples=given)


@pytest.mark.parametrize(
    "given",
    [Decimal("NaN"), Decimal("Infinity"), 10**400, -(10**5000), Decimal("1e999"), np.nan],
    ids=lambda value: type(value).__name__,
)
def test_numbers_without_a_value_are_inconclusive(check: Check, given: Any) -> None:  # noqa: ANN401 - any number
    """Neither can be compared, or written; whole numbers beyond all floats are as good as infinite."""
    with pytest.raises(Inconclusive, match="revenue: no value"):
        check.measure("revenue", given, COUNT)


def test_estimates_and_samples_of_another_library(check: Check) -> None:
    """The other ways to measure take the same numbers."""
    low, value, high = Decimal("1.5"), np.float64(2), Fraction(5, 2)
    interval: Any = Interval(value, low, high)  # type: ignore[arg-type]
    assert check.measure_estimate("growth", interval, COUNT, samples=np.int64(900), of="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^growth: '3' \(str\) is no number; convert it$"):
        check.measure_estimate("growth", Interval(2.0, 1.5, "3"), COUNT, samples=900, of="x")  # type: ignore[arg-type]
    check.enough("requests", Decimal(900))  # type: ignore[arg-type]
    with pytest.raises(Inconclusive, match="requests: 5 samples"):
        check.enough("requests", Decimal(5))  # type: ignore[arg-type]
