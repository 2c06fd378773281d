"""Dates of the pages: UTC whatever the evidence has, each language in its own form."""

from __future__ import annotations

from opsverify.report.dates import clock, date_time


def test_dates_in_both_languages() -> None:
    """A time of another zone is shown in UTC; none is a dash."""
    at = "2026-11-22T05:12:33.120+09:00"
    assert (date_time(at).en, date_time(at).ko) == ("2026-11-21 20:12:33 UTC", "2026년 11월 21일 20:12:33 UTC")
    assert (clock(at).en, clock(at).ko) == ("11-21 20:12:33.120", "11월 21일 20:12:33.120")
    assert clock(None) == clock("") == "-"
