"""Dates of the pages, in UTC, as each language writes them."""

from __future__ import annotations

import datetime as dt

from opsverify.language.message import Message, as_message
from opsverify.report.model import UNKNOWN


def clock(moment: str | None) -> Message:
    """A time of the evidence as a table shows it: UTC, to the millisecond."""
    if not moment:
        return as_message(UNKNOWN)
    at = dt.datetime.fromisoformat(moment).astimezone(dt.UTC)
    time = f"{at:%H:%M:%S.%f}"[:-3]
    return Message.of(f"{at:%m-%d} {time}", f"{at.month}월 {at.day}일 {time}")


def minute(moment: str | None) -> Message:
    """As `clock`, without the seconds."""
    return clock(moment).each(lambda text: text.rpartition(":")[0] if ":" in text else text)


def date_time(moment: str) -> Message:
    """A time of the evidence as a heading shows it: UTC, with its year."""
    at = dt.datetime.fromisoformat(moment).astimezone(dt.UTC)
    return Message.of(f"{at:%Y-%m-%d %H:%M:%S} UTC", f"{at.year}년 {at.month}월 {at.day}일 {at:%H:%M:%S} UTC")
