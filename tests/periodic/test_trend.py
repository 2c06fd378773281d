"""Trend of free space: steady growth has a date, a nightly sawtooth and one step have none."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsverify.periodic.storage import VolumeForecast
from opsverify.periodic.trend import falling, theil_sen, without_step

GB = 1e9
DAYS = 30


def daily_lows(free: float, a_day: float, *, noise: float = 0.0, seed: int = 1) -> list[tuple[float, float]]:
    """Lows of 30 days that end at `free`."""
    rng = random.Random(seed)  # noqa: S311 - noise
    return [(float(day), free + (DAYS - 1 - day) * a_day + rng.uniform(0, noise)) for day in range(DAYS)]


def hourly(free: float, a_day: float, night: float) -> list[tuple[float, float]]:
    """Lows of days whose nights take `night` and give it back: what the query makes of hourly values."""
    values = [
        (hour // 24, free + (DAYS * 24 - hour) / 24 * a_day - (night if hour % 24 == 3 else 0.0))
        for hour in range(DAYS * 24)
    ]
    return [(float(day), min(value for at, value in values if at == day)) for day in range(DAYS)]


def test_a_nightly_sawtooth_has_no_date() -> None:
    """Trap 23: what a night writes and removes is no trend."""
    assert falling(hourly(60 * GB, 0.0, 20 * GB)) is None
    assert falling(daily_lows(60 * GB, 0.0, noise=2 * GB)) is None


@pytest.mark.parametrize("at", range(1, DAYS))
@pytest.mark.parametrize("noise", [0.0, 0.5 * GB])
def test_one_step_has_no_date(at: int, noise: float) -> None:
    """Trap 23: a step of 20 % on any day, with or without noise."""
    stepped = [(day, value - (20 * GB if day >= at else 0)) for day, value in daily_lows(60 * GB, 0.0, noise=noise)]
    assert falling(stepped) is None


@settings(max_examples=60)
@given(
    st.floats(0.2, 5),
    st.floats(5, 500),
    st.floats(0, 0.3),
    st.integers(0, 1000),
    st.sets(st.integers(0, DAYS - 1), max_size=8),
)
def test_steady_growth_has_a_date_within_a_tenth(
    a_day: float, free: float, noise: float, seed: int, missing: set[int]
) -> None:
    """Trap 23: the day on which the volume is full, with noise of a third of a day's growth and days missing."""
    points = daily_lows(free * GB, a_day * GB, noise=noise * a_day * GB, seed=seed)
    slope = falling([point for point in points if point[0] not in missing])
    assert slope is not None
    assert free * GB / -slope.value == pytest.approx(free / a_day, rel=0.1)
    assert slope.low <= slope.value <= slope.high < 0


@given(
    st.lists(st.tuples(st.integers(0, 60), st.floats(-1e12, 1e12)), min_size=3, max_size=25, unique_by=lambda p: p[0])
)
def test_the_interval_holds_the_estimate(points: list[tuple[int, float]]) -> None:
    """Whatever the values are: an interval around the median slope, and the points keep their days."""
    slope = theil_sen(points)
    assert slope.low <= slope.value <= slope.high
    assert [day for day, _ in without_step(points)] == sorted(day for day, _ in points)


def test_space_that_is_freed_has_no_date() -> None:
    """A volume that gets emptier is never full."""
    assert falling(daily_lows(60 * GB, -1 * GB)) is None


def test_what_a_person_reads() -> None:
    """The rate, and the interval of the date; without a trend that is said."""
    slope = falling(daily_lows(12 * GB, 1 * GB, noise=0.1 * GB))
    full = VolumeForecast("data", 12 * GB, 100 * GB, DAYS, slope)
    assert full.left_s == pytest.approx(12 * 86400, rel=0.1)
    assert full.text.startswith("until data is full (")
    assert full.text.ko.startswith("후 data 고갈 예상(")
    level = VolumeForecast("", 12 * GB, 100 * GB, DAYS, None)
    assert (level.left_s, level.text) == (None, "volume: no trend over 30 days")
    assert not math.isinf(VolumeForecast("data", 1, 1, DAYS, slope).share)
