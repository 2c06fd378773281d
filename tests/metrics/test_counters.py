"""Growth of raw counters: restarts, new and vanished series, gaps, and samples that cannot be."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.metrics.counters import (
    InstanceTimes,
    Reason,
    Rejected,
    first_scrapes,
    increments,
    instance_of,
)
from opsverify.metrics.coverage import coverage

EDGES = [0.0, 10.0, 20.0, 30.0]
A, B = "code=200,instance=a:1", "code=500,instance=a:1"
OTHER = "code=200,instance=b:1"


def test_steps_get_what_was_counted_in_them() -> None:
    """A sample at an edge belongs to the step that it ends."""
    growth = increments({A: {0.0: 100, 10.0: 103, 15.0: 104, 20.0: 110, 29.0: 111}}, EDGES)
    assert growth.steps == (3, 7, 1)
    assert growth.total == 11


def test_a_fall_is_a_restart() -> None:
    """The new process has counted its whole value."""
    growth = increments({A: {0.0: 100, 10.0: 110, 20.0: 4, 30.0: 9}}, EDGES)
    assert growth.steps == (10, 4, 5)
    assert growth.restarted == (A,)


def test_a_restart_with_a_higher_value() -> None:
    """With the start time known, a value that has overtaken the old one still counts whole."""
    instances = InstanceTimes({"a:1": 0.0}, {"a:1": 12.0})
    growth = increments({A: {0.0: 5, 10.0: 6, 20.0: 50}}, EDGES, instances)
    assert growth.steps == (1, 50, 0)
    assert growth.restarted == (A,)


def test_a_label_used_for_the_first_time_counts_from_zero() -> None:
    """The first errors of a canary are not lost."""
    signals = [{A: {0.0: 100.0, 20.0: 140.0}, B: {20.0: 7.0, 30.0: 8.0}}]
    growth = increments(signals[0], EDGES, InstanceTimes(first_scrapes(signals)))
    assert growth.steps == (0, 47, 1)
    assert growth.appeared == (B,)


def test_a_signal_of_errors_alone_learns_of_its_instance_elsewhere() -> None:
    """No error series at the start, but the instance's requests were there: the errors are new."""
    instances = InstanceTimes(first_scrapes([{A: {0.0: 100.0}}, {B: {20.0: 7.0}}]))
    assert increments({B: {20.0: 7.0}}, EDGES, instances).steps == (0, 7, 0)


def test_a_label_that_comes_back_counts_from_what_it_had() -> None:
    """What an exporter left out while it was quiet is no growth; a lower value is that of a new process."""
    scraped = first_scrapes([{A: {0.0: 100.0}}])
    for had, grown in ((5.0, 2.0), (9.0, 7.0)):
        instances = InstanceTimes(scraped, earlier={B: had})
        assert increments({B: {20.0: 7.0}}, EDGES, instances).steps == (0, grown, 0)
    new = InstanceTimes(scraped, started={"a:1": 3.0}, earlier={B: 5.0})
    assert increments({B: {20.0: 7.0}}, EDGES, new).steps == (0, 7, 0)


@pytest.mark.parametrize(("started", "expected"), [({}, 0), ({"b:1": -9e5}, 0), ({"b:1": 14.0}, 900)], ids=str)
def test_a_new_instance_counts_from_zero_only_if_it_started_in_the_window(
    started: dict[str, float], expected: float
) -> None:
    """A process of days that was not scraped before must not bring days of requests into the window."""
    series = {A: {0.0: 1.0, 20.0: 1.0, 30.0: 1.0}, OTHER: {20.0: 900.0, 30.0: 905.0}}
    growth = increments(series, EDGES, InstanceTimes(first_scrapes([series]), started))
    assert growth.steps == (0, expected, 5)
    assert growth.unanchored == (() if expected else (OTHER,))


def test_behind_a_collector_one_pod_says_nothing_of_another() -> None:
    """They share its `instance`. What a pod that comes had counted is none of the steps, a label's first use is."""
    steady, new = {0.0: 100.0, 15.0: 110.0, 30.0: 120.0}, {15.0: 5000.0, 29.0: 5003.0}
    a, first_use, b = "code=200,instance=c:1,pod=a", "code=500,instance=c:1,pod=a", "code=200,instance=c:1,pod=b"
    growth = increments({a: steady, first_use: {25.0: 7.0}, b: new}, EDGES)
    assert (growth.total, growth.unanchored) == (20 + 7 + 3, (b,))


def test_the_first_sample_of_the_first_step_anchors() -> None:
    """Observing begins a moment before the first scrape: nothing is counted twice."""
    growth = increments({A: {4.0: 1000.0, 10.0: 1003.0}}, EDGES)
    assert growth.steps == (3, 0, 0)
    assert growth.unanchored == ()


def test_a_vanished_series_keeps_its_count_and_may_come_back() -> None:
    """A pod that goes takes nothing with it; one that returns goes on."""
    gone = increments({A: {0.0: 5.0, 10.0: 8.0}}, EDGES)
    assert (gone.steps, gone.vanished) == ((3, 0, 0), (A,))
    back = increments({A: {0.0: 5.0, 10.0: 8.0, 30.0: 12.0}}, EDGES)
    assert (back.steps, back.vanished) == ((3, 0, 4), ())


def test_a_gap_loses_nothing() -> None:
    """After an outage of Prometheus the difference is there."""
    assert increments({A: {0.0: 5.0, 30.0: 65.0}}, EDGES).steps == (0, 0, 60)


@pytest.mark.parametrize(
    ("value", "reason"), [(math.nan, Reason.NAN), (math.inf, Reason.INFINITE), (-1.0, Reason.NEGATIVE)]
)
def test_impossible_samples_are_left_out_and_named(value: float, reason: Reason) -> None:
    """One broken scrape is a gap, not a crash and not a number."""
    growth = increments({A: {0.0: 5.0, 10.0: value, 20.0: 9.0}}, EDGES)
    assert growth.steps == (0, 4, 0)
    assert growth.rejected == (Rejected(A, 10.0, reason),)


def test_nothing_usable_counts_nothing() -> None:
    """A counter that is NaN throughout has no growth, and says so."""
    growth = increments({A: {0.0: math.nan, 20.0: math.nan}}, EDGES)
    assert growth.total == 0
    assert len(growth.rejected) == 2


@pytest.mark.parametrize("edges", [[], [0.0], [0.0, 0.0], [1.0, 0.0]], ids=str)
def test_edges_must_ascend(edges: list[float]) -> None:
    """A clock that ran backwards is refused."""
    with pytest.raises(ValueError, match="ascending"):
        increments({}, edges)


def test_the_instance_is_read_from_the_key() -> None:
    """Labels that merely end in `instance` are not it."""
    assert instance_of("exported_instance=z,instance=a:1,job=j") == "a:1"
    assert instance_of("code=200") == ""


@given(st.lists(st.integers(0, 50), min_size=2, max_size=30), st.lists(st.integers(0, 28), max_size=5))
def test_without_restarts_the_total_is_last_less_first(grown: list[int], lost: list[int]) -> None:
    """However many scrapes in the middle are lost, and wherever the step edges lie."""
    values, total = {}, 0
    for number, one in enumerate(grown):
        total += one
        values[float(number)] = float(total)
    kept = {at: value for at, value in values.items() if at in (0.0, len(grown) - 1.0) or int(at) not in lost}
    edges = [0.0, 3.0, 7.5, 30.0]
    assert increments({A: kept}, edges).total == pytest.approx(total - grown[0])


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=30))
def test_growth_is_never_negative(values: list[float]) -> None:
    """Whatever a counter does, nothing is counted backwards."""
    growth = increments({A: dict(enumerate(values))}, EDGES)
    assert all(step >= 0 for step in growth.steps)


def test_coverage_counts_what_goes_beyond_a_tolerated_gap() -> None:
    """A short outage costs nothing, a long one what it exceeds, silence everything."""
    every = [float(at) for at in range(5, 600, 5)]
    assert coverage(every, 0, 600, 10).share == 1.0
    assert coverage([at for at in every if not 100 < at < 150], 0, 600, 60).share == 1.0
    assert coverage([at for at in every if not 100 < at < 250], 0, 600, 60).missing_s == pytest.approx(90)
    assert coverage([], 0, 600, 60).share == 0.0
    assert coverage([-5.0, 700.0], 0, 600, 60).share == 0.0


@given(st.lists(st.floats(-100, 700), max_size=40), st.floats(0, 700))
def test_coverage_is_a_share(moments: list[float], tolerated: float) -> None:
    """Between 0 and 1, and never more for fewer samples."""
    whole = coverage(moments, 0, 600, tolerated).share
    assert 0 <= whole <= 1
    assert coverage(moments[1:], 0, 600, tolerated).share <= whole + 1e-9


@given(
    st.lists(st.integers(0, 50), min_size=10, max_size=60),
    st.lists(st.tuples(st.integers(1, 59), st.integers(1, 100)), max_size=3),
)
def test_dips_of_a_long_count_add_no_more_than_they_took(counts: list[int], dips: list[tuple[int, int]]) -> None:
    """However a counter of 100,000 dips, its past is not counted again."""
    values = list(accumulate(counts, initial=100_000))
    for place, depth in dips:
        values[place % len(values)] -= depth
    growth = increments({A: {10.0 * n: float(value) for n, value in enumerate(values)}}, [0.0, 10.0 * len(values)])
    assert growth.total <= sum(counts) + sum(depth for _, depth in dips)
    assert not growth.restarted
