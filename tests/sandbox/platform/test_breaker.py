"""The circuit breaker before the MCP server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.platform.breaker import FAILURES_TO_OPEN, OPEN_SECONDS, Breaker


class Clock:
    """A clock that stands until told to go."""

    now = 0.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


def opened(clock: Clock) -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker(clock)
    for _ in range(FAILURES_TO_OPEN):
        assert breaker.allow()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    """The fifth failure in a row stops all calls."""
    breaker = opened(Clock())
    assert breaker.state == "open"
    assert not breaker.allow()


def test_a_success_starts_the_count_again() -> None:
    """Failures with a success between them do not open it."""
    breaker = Breaker(Clock())
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert breaker.state == "closed"


def test_half_open_lets_one_trial_through() -> None:
    """After the wait one call may try, the next must wait for its outcome."""
    clock = Clock()
    breaker = opened(clock)
    clock.now = OPEN_SECONDS
    assert breaker.state == "half-open"
    assert [breaker.allow(), breaker.allow()] == [True, False]


def test_the_trial_decides() -> None:
    """A failed trial opens it for another wait, a good one closes it."""
    clock = Clock()
    breaker = opened(clock)
    clock.now = OPEN_SECONDS
    assert breaker.allow()
    breaker.failed()
    assert breaker.state == "open"
    clock.now += OPEN_SECONDS
    assert breaker.allow()
    breaker.succeeded()
    assert (breaker.state, breaker.failures) == ("closed", 0)


@given(st.lists(st.tuples(st.booleans(), st.floats(min_value=0, max_value=3)), max_size=60))
def test_it_never_locks_up(steps: list[tuple[bool, float]]) -> None:
    """Whatever happened, after the wait a call is let through."""
    clock = Clock()
    breaker = Breaker(clock)
    for good, seconds in steps:
        clock.now += seconds
        if breaker.allow():
            (breaker.succeeded if good else breaker.failed)()
    clock.now += OPEN_SECONDS + 0.001  # sums of floats may fall short by a rounding error
    assert breaker.allow()


def test_every_state_that_it_enters_is_told_once() -> None:
    """Opened, tried in vain, tried again and closed; late answers of calls under way change nothing."""
    clock, told = Clock(), list[str]()
    breaker = Breaker(clock, told.append)
    for _ in range(FAILURES_TO_OPEN + 2):
        breaker.failed()
    clock.now += OPEN_SECONDS
    assert breaker.allow()
    breaker.failed()
    clock.now += OPEN_SECONDS
    assert breaker.allow()
    breaker.succeeded()
    breaker.succeeded()
    assert told == ["open", "half-open", "open", "half-open", "closed"]


def test_one_that_is_held_stays_open() -> None:
    """The fault of the sandbox; it is closed again as soon as that is off."""
    breaker = Breaker(Clock())
    breaker.held = True
    assert (breaker.state, breaker.allow()) == ("open", False)
    breaker.held = False
    assert breaker.allow()
