"""Rates and extrapolation: plain arithmetic with a clock of our own."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.recovery.restore.throughput import DrillStage, Meter, extrapolate


def test_a_meter_measures_slices() -> None:
    """Equal slices of the copy, each with its own rate; what is left at the end belongs to none."""
    seconds = count()
    meter = Meter(clock=lambda: float(next(seconds)))
    meter.start()
    for done in range(1, 101):
        meter.note(done << 20, 100 << 20)
    assert len(meter.rates) == 20
    assert set(meter.rates) == {5.0 * (1 << 20)}


@given(st.integers(1, 10**13), st.lists(st.floats(1e3, 1e10), min_size=1), st.floats(0, 1e4))
def test_extrapolation_lies_between_the_slowest_and_the_fastest_slice(
    size: int, slices: list[float], fixed_s: float
) -> None:
    """The interval holds every measured rate, and never undercuts what does not grow."""
    found = extrapolate(size, 1 << 20, slices, fixed_s)
    assert found is not None
    assert fixed_s <= found.low_s <= found.high_s
    assert all(found.low_s <= size / rate + fixed_s <= found.high_s for rate in slices)
    assert "page cache" in found.rests_on


def test_nothing_measured_extrapolates_to_nothing() -> None:
    """No slice, no promise."""
    assert extrapolate(10**12, 0, [], 1.0) is None


def test_rates_of_a_stage() -> None:
    """Bytes and segments a second, where the stage moved any."""
    stage = DrillStage("recover", 0.0, 2.0, bytes=4 << 20, segments=4)
    assert stage.bytes_per_s == pytest.approx(2 << 20)
    assert stage.segments_per_s == 2
    assert DrillStage("promote", 0.0, 1.0).bytes_per_s is None
