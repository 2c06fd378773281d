"""Delay of the run: spells of late wake-ups, and which failures of a check they excuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify import CheckFailed, Inconclusive, Limit, Unreachable
from opsverify.core.run_delay import EVERY_S, TOLERANCE_S, RunDelay, WakeUps, excused
from opsverify.probes.local_timer import Elapsed, LocalTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.core.check import Check

SECOND = Limit.parse("< 1 s", "s")
RATE = Limit.parse("< 1 %", "ratio")
LATE, ON_TIME = RunDelay(2.0), RunDelay(0.2)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def _after(*delays: float) -> tuple[Clock, WakeUps]:
    clock = Clock()
    wake_ups = WakeUps(clock)
    for late in delays:
        clock.now += EVERY_S + late
        wake_ups.woke()
    return clock, wake_ups


def test_on_time_is_no_delay() -> None:
    """Wake-ups within the tolerance add up to nothing, however many they are."""
    _, wake_ups = _after(*[TOLERANCE_S / 2] * 1000)
    assert wake_ups.longest_s(0) == 0


def test_late_ones_in_a_row_add_up() -> None:
    """A throttled process is late a little each time: one spell; one wake-up on time ends it."""
    _, wake_ups = _after(0.3, 0.4, 0.0, 0.5)
    assert wake_ups.longest_s(0) == pytest.approx(0.7)


def test_the_wake_up_that_is_missing_counts() -> None:
    """After a stop the check may go on before the thread that watches does."""
    clock, wake_ups = _after(0.0)
    clock.now += EVERY_S + 2
    assert wake_ups.longest_s(0) == pytest.approx(2)


def test_what_was_before_the_check_does_not_count() -> None:
    """Only what reaches into the check excuses it, and only by its part of it."""
    clock, wake_ups = _after(3.0, 0.0)
    assert wake_ups.longest_s(clock.now) == 0
    assert wake_ups.longest_s(100 + EVERY_S + 3.0 - 0.5) == pytest.approx(0.5)


@given(delays=st.lists(st.floats(0, 10), max_size=30), since=st.floats(90, 200))
def test_never_more_than_was_waited(delays: list[float], since: float) -> None:
    """The longest spell is at most all lateness together, and at most the time since the check began."""
    clock, wake_ups = _after(*delays)
    found = wake_ups.longest_s(since)
    assert 0 <= found <= sum(delays) + 1e-6
    assert found <= max(0.0, clock.now - since) + 1e-6


def test_a_timer_says_whose_clock_it_is() -> None:
    """A duration of a local timer is `Elapsed`, and its measurement rests on this machine's clock."""
    clock = Clock()
    watch = LocalTimer(clock)
    clock.now += 1.5
    assert watch.elapsed_s == 1.5
    assert isinstance(watch.elapsed_s, Elapsed)


def _slow(check: Check) -> None:
    check.measure("latency", Elapsed(1.4), SECOND)


def _unanswered(check: Check) -> None:
    with check.must_answer("a"):
        raise Unreachable("a: no answer within 5 s", by_clock=True)


def _slow_then_unmeasured(check: Check) -> None:
    _slow(check)
    raise Inconclusive("no data")


def _refused(check: Check) -> None:
    with check.must_answer("a"):
        raise Unreachable("a: refused")


def _slow_and_wrong(check: Check) -> None:
    _slow(check)
    check.expect("status", 500, 200)


def _slow_in_metrics(check: Check) -> None:
    check.measure("replay lag", 1.4, SECOND)


def _rate(check: Check) -> None:
    check.measure("rate", 0.5, RATE)


def _slow_and_given_up(check: Check) -> None:
    _slow(check)
    check.fail("not one of the four tools is there")


def _fast(check: Check) -> None:
    check.measure("latency", Elapsed(0.4), SECOND)
    raise Inconclusive("no data")


def _ended(check: Check, body: Callable[[Check], None]) -> Exception:
    try:
        body(check)
        check.conclude()
    except (CheckFailed, Inconclusive) as error:
        return error
    raise AssertionError("the body must fail")


@pytest.mark.parametrize("body", [_slow, _unanswered, _slow_then_unmeasured])
def test_times_of_a_late_run_are_no_measurements(check: Check, body: Callable[[Check], None]) -> None:
    """A duration or a timeout of this machine's clock holds where the run came late, and says so; else it fails."""
    error = _ended(check, body)
    assert excused(check, error, lambda: ON_TIME) is None
    busy = excused(check, error, lambda: RunDelay(2.0, 1.75))
    assert busy is not None
    assert "this machine was too busy to measure: " in str(busy)
    assert "woke up 2s late (it waited 1.75s for a processor), limit <= 1s; run again on a machine with" in str(busy)


@pytest.mark.parametrize("body", [_refused, _slow_and_wrong, _slow_in_metrics, _rate, _slow_and_given_up, _fast])
def test_all_else_stays_what_it_is(check: Check, body: Callable[[Check], None]) -> None:
    """What rests on no clock of this machine is never excused, also where a slow time stands beside it."""
    assert excused(check, _ended(check, body), lambda: LATE) is None


def test_an_assertion_of_ones_own_is_not_excused(check: Check) -> None:
    """A plain assert names no clock: it stays a failure."""
    _slow(check)
    assert excused(check, AssertionError("slow"), lambda: LATE) is None
