"""On-call calendars of the stand-in: one form of file for each level, for the weeks to come."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Final

from sandbox.home import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

_WEEKS: Final = 16
_WEEK: Final = dt.timedelta(days=7)
_LEVELS: Final = {
    "L1": ("Kim Minji", "Lee Jun"),
    "L2": ("Park Seoyeon", "Choi Dohyun"),
    "L3": ("Jung Hana", "Han Jiho"),
}


FAULTS: Final = ("on_call_gap", "on_call_unknown", "on_call_overlap")


def write(home: Path, fault: str | None = None) -> None:
    """Write `on-call/l1.ics`, `l2.toml` and `l3.json`, with one of `FAULTS` in them."""
    folder = home / "on-call"
    folder.mkdir(exist_ok=True)
    monday = _monday(dt.datetime.now(dt.UTC))
    write_atomic(folder / "l1.ics", _icalendar(monday))
    write_atomic(folder / "l2.toml", _rotation(monday, misspelt=fault == "on_call_unknown"))
    shared = dt.timedelta(hours=6 if fault == "on_call_overlap" else 0)
    write_atomic(folder / "l3.json", _pagerduty(monday, shared, gap=fault == "on_call_gap"))


def _monday(now: dt.datetime) -> dt.datetime:
    """Monday of last week, 00:00 UTC: nine o'clock in Seoul."""
    day = now.date() - dt.timedelta(days=now.weekday() + 7)
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def _icalendar(monday: dt.datetime) -> str:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//opsverify//sandbox//EN"]
    for number, who in enumerate(_LEVELS["L1"]):
        start = monday + number * _WEEK
        lines += [
            "BEGIN:VEVENT",
            f"UID:l1-{number}@sandbox",
            f"DTSTAMP:{monday:%Y%m%dT%H%M%SZ}",
            f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
            f"DTEND:{start + _WEEK:%Y%m%dT%H%M%SZ}",
            f"RRULE:FREQ=WEEKLY;INTERVAL={len(_LEVELS['L1'])}",
            f"SUMMARY:On Call - {who} - L1",
            "END:VEVENT",
        ]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


def _rotation(monday: dt.datetime, *, misspelt: bool) -> str:
    people = ", ".join(f'"{who[1:] if misspelt else who}"' for who in _LEVELS["L2"])
    return (
        f'[rotation]\npeople = [{people}]\nstart = {monday:%Y-%m-%d} 09:00:00\nevery = "7d"\ntime_zone = "Asia/Seoul"\n'
    )


def _pagerduty(monday: dt.datetime, shared: dt.timedelta, *, gap: bool) -> str:
    night = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).replace(microsecond=0)
    entries = []
    for number in range(_WEEKS):
        who, start = _LEVELS["L3"][number % 2], monday + number * _WEEK
        parts = [(start, start + _WEEK + shared)]
        if gap:  # which may reach over a handover
            morning = night + dt.timedelta(hours=9)
            parts = [(start, min(night, start + _WEEK)), (max(morning, start), start + _WEEK)]
        entries += [
            {"start": begun.isoformat(), "end": ended.isoformat(), "user": {"summary": who}}
            for begun, ended in parts
            if begun < ended
        ]
    return json.dumps({"schedule": {"final_schedule": {"rendered_schedule_entries": entries}}}, indent=1)
