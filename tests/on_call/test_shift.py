"""Arithmetic of time spans: gaps and spans together are the period, whatever the spans are."""

from __future__ import annotations

import datetime as dt
import itertools

from hypothesis import given
from hypothesis import strategies as some

from opsverify.on_call.shift import Hours, common, gaps, merged

START = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
PERIOD = Hours(START, START + dt.timedelta(hours=100))


def at(hour: int) -> dt.datetime:
    """An hour of the period, or before or after it."""
    return START + dt.timedelta(hours=hour)


SPANS = some.lists(
    some.tuples(some.integers(-20, 120), some.integers(1, 40)).map(lambda one: Hours(at(one[0]), at(one[0] + one[1]))),
    max_size=8,
)


def hours(spans: list[Hours]) -> set[int]:
    """The whole hours of the period that are in any of the spans."""
    return {hour for hour in range(100) for span in spans if span.start <= at(hour) < span.end}


@given(SPANS)
def test_gaps_are_what_no_span_covers(spans: list[Hours]) -> None:
    """Hour by hour."""
    assert hours(list(gaps(spans, PERIOD))) == set(range(100)) - hours(spans)


@given(SPANS)
def test_merged_spans_hold_the_same_hours_apart(spans: list[Hours]) -> None:
    """Nothing is lost or added, and no two touch."""
    found = merged(spans)
    assert hours(found) == hours(spans)
    assert all(one.end < other.start for one, other in itertools.pairwise(found))


@given(SPANS, SPANS)
def test_common_hours_are_in_both(first: list[Hours], second: list[Hours]) -> None:
    """Hour by hour."""
    assert hours(common(first, second)) == hours(first) & hours(second)
