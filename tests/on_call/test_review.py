"""Review of a schedule: what the calendars of three tools say, and the traps in them."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from opsverify.config.on_call import OnCall
from opsverify.errors import Inconclusive
from opsverify.on_call.review import OnCallReview, review_of

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
PEOPLE = {"kim": ("Kim Minji", "kim@example.com"), "lee": ("Lee Jun",)}


def reviewed(folder: Path, *, period: str = "7d", now: dt.datetime = NOW, **more: Any) -> OnCallReview:  # noqa: ANN401 - fields
    """The review of the calendars in `folder`: each is a level, but `leave.*`."""
    files = {path.stem: {"calendar": str(path)} for path in sorted(folder.iterdir())}
    leave = files.pop("leave", {}).get("calendar")
    return review_of(OnCall(levels=files, people=PEOPLE, leave=leave, period=period, **more), now)  # type: ignore[arg-type]


def ics(folder: Path, *events: str, name: str = "L1") -> None:
    """Write one iCalendar file."""
    body = "".join(f"BEGIN:VEVENT\r\nUID:{number}\r\n{event}\r\nEND:VEVENT\r\n" for number, event in enumerate(events))
    text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//t//EN\r\n{body}END:VCALENDAR\r\n"
    (folder / f"{name}.ics").write_text(text, encoding="utf-8", newline="")


def shift(start: str, end: str, *more: str, who: str = "Kim Minji") -> str:
    """One event; times as iCalendar writes them."""
    return "\r\n".join([f"DTSTART:{start}", f"DTEND:{end}", f"SUMMARY:{who}", *more])


WEEK = ("20261130T000000Z", "20261207T000000Z")


def uncovered(review: OnCallReview) -> list[tuple[str, str, float]]:
    """Level, start and hours of what nobody covers."""
    return [(level, f"{span.start:%m-%d %H:%M}", span.seconds / 3600) for level, span in review.uncovered()]


@pytest.mark.parametrize(
    "who",
    ["Kim Minji", "kim", " KIM MINJI ", "On Call - Kim Minji - Judgment L1"],
    ids=["name", "id", "case", "export"],
)
def test_a_covered_week(tmp_path: Path, who: str) -> None:
    """However the calendar writes the person."""
    ics(tmp_path, shift(*WEEK, who=who))
    review = reviewed(tmp_path)
    assert uncovered(review) == []
    assert (review.unknown, review.unclear, review.hours()) == ((), (), {"kim": 168.0})


def test_an_attendee_goes_before_the_summary(tmp_path: Path) -> None:
    """Where there is exactly one."""
    ics(tmp_path, shift(*WEEK, "ATTENDEE:mailto:kim@example.com", who="on call"))
    assert reviewed(tmp_path).hours() == {"kim": 168.0}


def test_a_cancelled_occurrence_is_a_gap(tmp_path: Path) -> None:
    """By RECURRENCE-ID, by EXDATE, and by STATUS (trap 32)."""
    daily = "RRULE:FREQ=DAILY;COUNT=7"
    first = shift("20261130T000000Z", "20261201T000000Z", daily, "EXDATE:20261204T000000Z")
    cancelled = shift("20261202T000000Z", "20261203T000000Z", "RECURRENCE-ID:20261202T000000Z", "STATUS:CANCELLED")
    text = f"{first}\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:0\r\n{cancelled}"
    ics(tmp_path, text)
    assert uncovered(reviewed(tmp_path)) == [("L1", "12-02 00:00", 24.0), ("L1", "12-04 00:00", 24.0)]


def test_a_transparent_entry_is_no_shift(tmp_path: Path) -> None:
    """It says that the person is free."""
    ics(tmp_path, shift(*WEEK, "TRANSP:TRANSPARENT"))
    assert uncovered(reviewed(tmp_path)) == [("L1", "11-30 00:00", 168.0)]


@pytest.mark.parametrize("time_zone", [None, "Asia/Seoul"])
def test_a_floating_time_is_no_time(tmp_path: Path, time_zone: str | None) -> None:
    """Nobody knows whose nine o'clock it is (trap 32)."""
    ics(tmp_path, shift("20261130T090000", "20261207T090000"))
    review = reviewed(tmp_path, time_zone=time_zone)
    assert len(review.unclear) == 1
    assert review.hours() == {}


def test_whole_days_are_those_of_the_time_zone(tmp_path: Path) -> None:
    """Without one they are as unclear as a floating time."""
    ics(tmp_path, "DTSTART;VALUE=DATE:20261130\r\nDTEND;VALUE=DATE:20261207\r\nSUMMARY:kim")
    assert len(reviewed(tmp_path).unclear) == 1
    assert uncovered(reviewed(tmp_path, time_zone="Asia/Seoul")) == [("L1", "12-06 15:00", 9.0)]


def test_a_misspelt_name_covers_nothing(tmp_path: Path) -> None:
    """It is named, and its time is a gap (trap 32)."""
    ics(tmp_path, shift(*WEEK, who="Kim Minjii"))
    review = reviewed(tmp_path)
    assert "Kim Minjii" in review.unknown[0]
    assert uncovered(review) == [("L1", "11-30 00:00", 168.0)]


def test_one_person_on_two_levels_and_on_leave(tmp_path: Path) -> None:
    """Both are named; the time on leave is not covered either."""
    ics(tmp_path, shift(*WEEK), name="L1")
    ics(tmp_path, shift("20261201T000000Z", "20261202T000000Z"), name="L2")
    ics(tmp_path, shift("20261203T000000Z", "20261203T120000Z"), name="leave")
    review = reviewed(tmp_path)
    assert list(review.misplaced()) == [
        "kim: L1, L2 2026-12-01 00:00 - 12-02 00:00 UTC",
        "kim: L1, leave 2026-12-03 00:00 - 12-03 12:00 UTC",
    ]
    assert ("L1", "12-03 00:00", 12.0) in uncovered(review)


def test_handovers_of_two_zones_come_apart_with_daylight_saving(tmp_path: Path) -> None:
    """L1 in New York by day, Seoul by night, each in local time: an hour's overlap, or gap, for weeks (trap 33)."""
    winter, summer = dt.datetime(2026, 3, 2, tzinfo=dt.UTC), dt.datetime(2026, 3, 9, tzinfo=dt.UTC)
    shifts = []
    for day in range(14):
        date = dt.date(2026, 3, 2) + dt.timedelta(days=day)
        new_york, seoul = (
            [dt.datetime.combine(date, dt.time(hour), ZoneInfo(zone)) for hour in (begin, 21)]
            for zone, begin in (("America/New_York", 9), ("Asia/Seoul", 9))
        )
        # 12 hours each while New York is at UTC-5: 09-21 there is 23-11 in Seoul.
        shifts += [("Kim Minji", new_york[0], new_york[1]),
                   ("Lee Jun", seoul[0] + dt.timedelta(hours=2), seoul[1] + dt.timedelta(hours=2))]  # fmt: skip
    lines = "".join(
        f'[[shift]]\nwho = "{who}"\nstart = {start.isoformat()}\nend = {end.isoformat()}\n'
        for who, start, end in shifts
    )
    (tmp_path / "L1.toml").write_text(lines, encoding="utf-8")
    before, after = (
        reviewed(tmp_path, now=winter + dt.timedelta(hours=3), period="3d"),
        reviewed(tmp_path, now=summer + dt.timedelta(hours=3), period="3d"),
    )
    assert (uncovered(before), list(before.overlapping())) == ([], [])
    assert {hours for _, _, hours in uncovered(after)} == {1.0}
    assert {span.seconds for _, span in after.overlapping()} == {3600.0}


def test_a_rotation_keeps_its_local_time(tmp_path: Path) -> None:
    """Nine o'clock stays nine o'clock when the clocks change: no gap, no overlap, whoever starts when."""
    (tmp_path / "L1.toml").write_text(
        '[rotation]\npeople = ["kim", "lee"]\nstart = 2026-01-05 09:00:00\nevery = "7d"\ntime_zone = "Europe/Berlin"\n',
        encoding="utf-8",
    )
    review = reviewed(tmp_path, now=dt.datetime(2026, 3, 20, tzinfo=dt.UTC), period="28d")
    assert uncovered(review) == []
    assert list(review.overlapping()) == []
    handovers = sorted({span.start.hour for spans in review.levels["L1"].values() for span in spans})
    assert handovers == [7, 8]


def test_exports_of_pagerduty_and_opsgenie(tmp_path: Path) -> None:
    """As their interfaces answer; overrides are already in what is rendered."""
    start, end = "2026-11-30T00:00:00Z", "2026-12-07T09:00:00+09:00"
    rendered = [{"start": start, "end": end, "user": {"summary": "Kim Minji"}}]
    pagerduty = {"schedule": {"final_schedule": {"rendered_schedule_entries": rendered}}}
    periods = [{"startDate": start, "endDate": end, "recipient": {"name": "kim@example.com"}},
               {"startDate": start, "endDate": end}]  # fmt: skip
    opsgenie = {"data": {"finalTimeline": {"rotations": [{"periods": periods}]}}}
    (tmp_path / "L1.json").write_text(json.dumps(pagerduty), encoding="utf-8")
    assert uncovered(reviewed(tmp_path)) == []
    (tmp_path / "L1.json").write_text(json.dumps(opsgenie), encoding="utf-8")
    assert uncovered(reviewed(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("L1.ics", "no calendar"),
        ("L1.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:yesterday\nEND:VEVENT\nEND:VCALENDAR\n"),
        ("L1.json", "{"),
        ("L1.json", '{"schedule": {}}'),
        ("L1.toml", "[rotation]\npeople = []\n"),
        (
            "L1.toml",
            '[rotation]\npeople = ["a"]\nstart = 2026-01-01 09:00:00\nevery = "36h"\ntime_zone = "Asia/Seoul"\n',
        ),
        ("L1.toml", '[rotation]\npeople = ["a"]\nstart = 2026-01-01 09:00:00\nevery = "1d"\ntime_zone = "Korea"\n'),
        ("L1.toml", "[[shift]]\nwho = 1\n"),
    ],
)
def test_what_is_no_calendar(tmp_path: Path, name: str, text: str) -> None:
    """One line that names the file: nothing was measured."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(Inconclusive, match=name):
        reviewed(tmp_path)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"levels": {"L1": {"calendar": "a.xlsx"}}}, "no calendar"),
        ({"time_zone": "Korea"}, "Asia/Seoul"),
    ],
)
def test_sections_that_cannot_be_meant(section: dict[str, Any], said: str) -> None:
    """Each says what is expected."""
    given = {"levels": {"L1": {"calendar": "a.ics"}}, "people": {"kim": ("Kim",)}} | section
    with pytest.raises(ValidationError, match=said):
        OnCall.model_validate(given)
