"""Weeks and months of a report: whole, one after another, and of the target's own clock."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsverify.errors import TargetError
from opsverify.report.period import KINDS, containing, last_full, named

ZONES = tuple(map(ZoneInfo, ("UTC", "Asia/Seoul", "America/New_York", "Pacific/Apia", "Asia/Kolkata")))
FIRST = dt.datetime(2012, 1, 1, tzinfo=dt.UTC)
MOMENTS = st.integers(0, 28 * 366 * 1440).map(lambda minutes: FIRST + dt.timedelta(minutes=minutes))
OF_A_KIND = st.sampled_from(KINDS)


@settings(max_examples=40)
@given(OF_A_KIND, MOMENTS, st.sampled_from(ZONES))
def test_the_newest_whole_period_has_ended_and_the_next_one_has_not(
    kind: str, now: dt.datetime, zone: ZoneInfo
) -> None:
    """Whatever the time zone: nothing of a running week is reported, and no ended one is passed over."""
    period = last_full(kind, now, zone)
    assert period.end <= now < period.following.end
    assert period.following.start == period.end


@settings(max_examples=40)
@given(OF_A_KIND, MOMENTS, st.sampled_from(ZONES))
def test_periods_follow_each_other_without_gap(kind: str, now: dt.datetime, zone: ZoneInfo) -> None:
    """A moment lies in exactly one of three periods in a row, and a name leads back to its period."""
    period = containing(kind, now.astimezone(zone).date(), zone)
    assert now in period
    assert now not in period.before
    assert now not in period.following
    assert period.start <= now < period.end
    assert period.following.before == period == period.before.following
    assert named(kind, period.name, period.end, zone) == period


@settings(max_examples=40)
@given(MOMENTS, st.sampled_from(ZONES))
def test_a_week_has_seven_days_from_monday(now: dt.datetime, zone: ZoneInfo) -> None:
    """Also where clocks change: its days have 23 to 25 hours, and share their midnights."""
    week = last_full("weekly", now, zone)
    days = list(week.days())
    assert [day.weekday() for day in days] == list(range(7))
    assert week.midnight(days[0]) == week.start
    assert [week.kind, *week.weeks()] == ["weekly", week]


@settings(max_examples=40)
@given(MOMENTS, st.sampled_from(ZONES))
def test_each_week_belongs_to_one_month(now: dt.datetime, zone: ZoneInfo) -> None:
    """The last Sunday of a month ends its last week; the week after is the first one of the month after."""
    month = last_full("monthly", now, zone)
    weeks, after = list(month.weeks()), list(month.following.weeks())
    assert len(weeks) in (4, 5)
    assert weeks[-1].beyond == after[0].first
    assert all(week.beyond - dt.timedelta(days=1) in set(month.days()) for week in weeks)


def test_a_sunday_night_in_seoul_is_the_next_week_in_utc_terms() -> None:
    """00:30 on Monday in Seoul is Sunday 15:30 in UTC: the week has ended for the one and not for the other."""
    now = dt.datetime(2026, 11, 22, 15, 30, tzinfo=dt.UTC)
    assert last_full("weekly", now, ZoneInfo("Asia/Seoul")).name == "2026-W47"
    assert last_full("weekly", now, ZoneInfo("UTC")).name == "2026-W46"


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("weekly", "2026-47", "expected a form such as 2026-W47"),
        ("weekly", "2026-W54", "expected a form such as 2026-W47"),
        ("monthly", "2026-13", "expected a form such as 2026-11"),
        ("monthly", "2026-11", "has not ended; only whole ones are reported, the newest is 2026-10"),
    ],
)
def test_a_period_that_is_none_is_refused(kind: str, name: str, told: str) -> None:
    """With the form that was expected, or the newest one that can be had."""
    with pytest.raises(TargetError) as caught:
        named(kind, name, dt.datetime(2026, 11, 29, tzinfo=dt.UTC), ZoneInfo("UTC"))
    assert told in caught.value.problems[0]
