"""Resets of counters: what a process can have counted is believed, what it cannot is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opsverify.metrics.resets import GrowthPace, falls, is_reset, pace_of

RATES = st.floats(0.1, 1000)


@given(RATES, st.integers(1, 60), st.floats(0, 4))
def test_what_a_process_counts_at_its_pace_is_a_reset(rate: float, seconds: int, part: float) -> None:
    """Up to four times as fast as usual, whatever the old process had counted."""
    pace = GrowthPace()
    for _ in range(5):
        pace.add(rate * seconds, seconds)
    assert is_reset(float(int(part * rate * seconds)), 1e9, pace_of([GrowthPace(), pace]), seconds)


@given(RATES, st.integers(1, 60), st.integers(20, 10**9))
def test_a_dip_of_a_long_count_is_none(rate: float, seconds: int, dip: int) -> None:
    """The value after it is more than anything that can have been counted since."""
    pace = GrowthPace()
    pace.add(rate * seconds, seconds)
    assert not is_reset(4 * rate * seconds + dip, 1e12, pace_of([pace]), seconds)


@given(st.floats(1, 100), st.lists(st.floats(1000, 1e6), max_size=6))
def test_jumps_between_processes_are_no_pace(rate: float, jumps: list[float]) -> None:
    """Two answer in turn: the intervals in which one answers twice tell how fast it counts."""
    pace = GrowthPace()
    for jump in jumps:
        pace.add(jump, 15)
    for _ in range(max(1, len(jumps))):
        pace.add(rate * 15, 15)
    assert pace.usual <= max(rate * 1.0001, min([rate, *jumps]))


@given(st.floats(0, 1e9))
def test_rounding_is_no_fall(value: float) -> None:
    """A sum of fractions may be off by its last digits."""
    assert not falls(value * (1 - 1e-12), value)
    assert falls(value, value * 1.001 + 1)


def test_without_a_pace_a_small_part_is_a_reset() -> None:
    """A quarter of the old value; an amount of less than ten is not few by itself."""
    assert is_reset(25_000.0, 100_000.0, 0.0, 15)
    assert not is_reset(90_000.0, 100_000.0, 0.0, 15)
    assert is_reset(8.0, 9.0, 0.0, 15)
    assert not is_reset(8.98, 9.0, 0.0, 15)
