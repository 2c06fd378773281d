"""Page of a week in which a target is new: what ended before its first run was not wanted."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from opsverify.report.period import named
from opsverify.report.period_review import PeriodReview
from tests.support.period_runs import DAY, MONDAY, RecordedRuns
from tests.support.target_file import target_in

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 11, 24, 9, tzinfo=dt.UTC)
WEEK = named("weekly", "2026-W47", NOW, ZoneInfo("UTC"))


def concerns(folder: Path, first_run: dt.datetime) -> dict[str, str]:
    """Text and kind of all that the week has to be looked at for, where the target's first run was a daily then."""
    recorded = RecordedRuns(folder)
    recorded.add("daily", first_run)
    review = PeriodReview.of(recorded.state, target_in(folder), WEEK, NOW)
    return {str(one.text): one.kind for one in review.concerns()}


def test_a_new_target_has_missed_nothing_before_its_first_run(tmp_path: Path) -> None:
    """Days before a project existed are not red; those after its first run are."""
    found = concerns(tmp_path, MONDAY + 4 * DAY + dt.timedelta(hours=9))
    assert found["daily: 2 of 3 runs missed: 11-21, 11-22"] == "fail"
    (begun,) = [text for text in found if "the first run of t on record began" in text]
    assert found[begun] == "inconclusive"


def test_a_week_before_the_first_run_is_not_red(tmp_path: Path) -> None:
    """A project made today: the report of last week says that nothing was wanted in it, and not that all was made."""
    assert list(concerns(tmp_path, NOW).values()) == ["inconclusive"]
