"""The observation: what raw counter samples add up to, whatever restarts, gaps and new series there are."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.gate.observation import Observation, Step, increase, read_observation

COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=8)


@given(COUNTS, st.integers(0, 5))
def test_increase_counts_every_step_up(steps: list[int], before: int) -> None:
    """A counter that never restarts grew by exactly what was added after the window began."""
    points, total = {}, 50.0
    for at in range(-before, 1):
        total += 3
        points[float(at)] = total
    for at, step in enumerate(steps, 1):
        total += step
        points[float(at)] = total
    assert increase(points, 0.0, 1.0) == sum(steps)


@given(st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=4), min_size=1, max_size=4))
def test_increase_survives_restarts(lives: list[list[int]]) -> None:
    """After a restart the counter begins at zero: what it then shows was counted, never a negative growth."""
    points, at, expected, last = {0.0: 10_000.0}, 0.0, 0, 10_000.0
    for life in lives:
        value = 0.0
        for step in life:
            at += 1
            value += step
            points[at] = value
            expected += value - last if value >= last else value
            last = value
    grown = increase(points, 0.0, 1.0)
    assert grown == expected
    assert grown >= 0


def test_a_series_that_appears_in_the_window_counts_from_zero() -> None:
    """The first failure makes the series: it must not be lost as a starting point."""
    assert increase({30.0: 4.0, 40.0: 6.0}, 0.0, 5.0) == 6.0


def test_a_series_first_seen_at_the_start_is_a_starting_point() -> None:
    """Within one step of the start the first sample may be old growth, and is not counted."""
    assert increase({3.0: 400.0, 13.0: 406.0}, 0.0, 5.0) == 6.0
    assert increase({-3.0: 400.0, 13.0: 406.0}, 0.0, 5.0) == 6.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_is_an_error(value: float) -> None:
    """A counter that is no number gives no growth."""
    with pytest.raises(ValueError, match="NaN or infinite"):
        increase({0.0: 1.0, 1.0: value}, 0.0, 1.0)


def observed(moments: list[float], **scopes: dict[str, dict[float, float]]) -> Observation:
    """An observation of 100 s in steps of 10 s, with samples of `requests` at `moments`."""
    points = {at: at for at in moments}
    samples = scopes or ({"canary": {"requests": {"pod=a": points}}} if moments else {})
    return Observation(0.0, 100.0, 10.0, (Step(50.0, None, samples, ("Hot",)), Step(100.0, "no answer")))


@given(st.lists(st.floats(-20, 120, allow_nan=False), max_size=20))
def test_coverage_is_a_share(moments: list[float]) -> None:
    """Coverage is between nothing and all, whatever came when; more samples never cover less."""
    covered = observed(moments).coverage("canary", "requests")
    assert 0.0 <= covered <= 1.0
    assert observed([*moments, 50.0]).coverage("canary", "requests") >= covered


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([], 0.0),
        ([-5.0, 105.0], 0.0),
        ([float(at) for at in range(0, 101, 10)], 1.0),
        ([float(at) for at in range(0, 101, 20)], 1.0),
        ([10.0, 20.0, 70.0, 80.0, 90.0], 0.7),
        ([10.0], 0.3),
    ],
)
def test_coverage_of_known_gaps(moments: list[float], expected: float) -> None:
    """Time between samples counts up to twice the step; the rest of a gap was not observed."""
    assert observed(moments).coverage("canary", "requests") == pytest.approx(expected)


def test_unseen_signals_have_no_growth() -> None:
    """Never seen is not zero."""
    assert observed([]).increase("canary", "requests") is None
    assert observed([1.0]).increase("baseline", "requests") is None


def test_faults_and_alerts_once_each() -> None:
    """Reasons for failed looks, and alerts that fired at any step."""
    seen = observed([1.0])
    assert seen.faults == ("no answer",)
    assert seen.alerts == ("Hot",)


STEPS = st.builds(
    Step,
    st.floats(0, 1e10),
    st.none() | st.text(max_size=5),
    st.dictionaries(
        st.sampled_from(["canary", "baseline"]),
        st.dictionaries(
            st.sampled_from(["requests", "llm_cost"]),
            st.dictionaries(
                st.text(max_size=4),
                st.dictionaries(st.floats(0, 1e10), st.floats(0, 1e12), max_size=3),
                max_size=2,
            ),
            max_size=2,
        ),
        max_size=2,
    ),
    st.lists(st.text(max_size=4), max_size=2).map(tuple),
)


@given(st.lists(STEPS, max_size=4))
def test_rebuilt_from_its_file(steps: list[Step]) -> None:
    """What the evidence file holds gives the same observation, so the same verdict, at any later time."""
    whole = Observation(7.0, 60.0, 15.0, tuple(steps))
    header = json.dumps({"start": 7.0, "window_s": 60.0, "step_s": 15.0})
    assert read_observation([header, *(step.as_json() for step in steps), ""]) == whole


def test_samples_of_many_steps_are_merged() -> None:
    """Looks overlap: a sample seen twice counts once, and every series counts by itself."""
    first = {"canary": {"requests": {"a": {0.0: 0.0, 5.0: 5.0}}}}
    second = {"canary": {"requests": {"a": {5.0: 5.0, 10.0: 9.0}, "b": {0.0: 1.0, 10.0: 3.0}}}}
    whole = Observation(0.0, 10.0, 5.0, (Step(5.0, None, first), Step(10.0, None, second)))
    assert whole.increase("canary", "requests") == 11.0
