"""Deadlines of an incident: the arithmetic of who has to be told by when, and what counts as late."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from opsverify.incident.deadlines import DueBy, due_at

BEGAN = dt.datetime(2026, 11, 22, 20, tzinfo=dt.UTC)
MOMENTS = st.integers(0, 7 * 86400).map(lambda seconds: BEGAN + dt.timedelta(seconds=seconds))
SEVERITY = st.sampled_from(("sev1", "sev2", "sev3"))
RATED = st.lists(st.tuples(MOMENTS, SEVERITY), max_size=5)
HOURS = st.dictionaries(SEVERITY, st.floats(0, 3 * 86400))


@settings(max_examples=50)
@given(RATED, HOURS, st.tuples(MOMENTS, SEVERITY))
def test_another_severity_never_puts_a_deadline_off(
    rated: list[tuple[dt.datetime, str]], hours: dict[str, float], more: tuple[dt.datetime, str]
) -> None:
    """Raised or lowered: what was due by a time stays due by it, or becomes due earlier."""
    before, after = due_at(rated, hours), due_at([*rated, more], hours)
    assert before is None or (after is not None and after <= before)


@settings(max_examples=50)
@given(RATED, HOURS)
def test_a_deadline_is_one_severitys_own(rated: list[tuple[dt.datetime, str]], hours: dict[str, float]) -> None:
    """Never guessed: without a recorded severity that has hours there is none."""
    own = [at + dt.timedelta(seconds=hours[name]) for at, name in rated if name in hours]
    due = due_at(rated, hours)
    assert due == (min(own) if own else None)


@settings(max_examples=50)
@given(MOMENTS, st.none() | MOMENTS, MOMENTS)
def test_states_agree_with_how_late_it_is(due: dt.datetime, done: dt.datetime | None, now: dt.datetime) -> None:
    """Late and overdue have seconds, all others none; to the second on the deadline is in time."""
    line = DueBy("L1", due, done, rated=True)
    state = line.state(now)
    assert (state in ("late", "overdue")) == (line.late_s(now) > 0)
    assert (state in ("in time", "late")) == (done is not None)
    assert DueBy("L1", due, due, rated=True).state(now) == "in time"
    assert DueBy("L1", due, None, rated=True).state(due) == "waiting"


def test_without_a_severity_nothing_is_in_time() -> None:
    """Even what was done: nobody recorded by when it had to be."""
    assert DueBy("L1", None, BEGAN, rated=False).state(BEGAN) == "no severity"
    assert DueBy("L3", None, None, rated=True).state(BEGAN) == "not wanted"
