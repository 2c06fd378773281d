"""Period of a report: a whole week from Monday, or a whole month, as the calendar of one time zone has them."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import TargetError
from opsverify.language.message import Message, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

KINDS: Final = ("weekly", "monthly")
_WEEK: Final = re.compile(r"(\d{4})-W(\d{2})")
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True)
class Period:
    """The days from `first` up to, not including, `beyond`, each from midnight to midnight in `zone`."""

    kind: str
    first: dt.date
    beyond: dt.date
    zone: ZoneInfo

    @property
    def start(self) -> dt.datetime:
        """Its first moment."""
        return self.midnight(self.first)

    @property
    def end(self) -> dt.datetime:
        """The first moment after it."""
        return self.midnight(self.beyond)

    @property
    def name(self) -> str:
        """`2026-W47` or `2026-11`."""
        if self.kind == "weekly":
            year, week, _ = self.first.isocalendar()
            return f"{year:04}-W{week:02}"
        return f"{self.first.year:04}-{self.first.month:02}"

    @property
    def text(self) -> Message:
        """Its first and last day, and the time zone."""
        first, last = self.first, self.beyond - dt.timedelta(days=1)
        return Message.of(
            f"{first} to {last} ({self.zone.key})",
            f"{first.year}년 {first.month}월 {first.day}일부터 {last.month}월 {last.day}일까지 ({self.zone.key})",
        )

    @property
    def before(self) -> Period:
        """The period that ends where this one begins."""
        return containing(self.kind, self.first - dt.timedelta(days=1), self.zone)

    @property
    def following(self) -> Period:
        """The period that begins where this one ends."""
        return containing(self.kind, self.beyond, self.zone)

    def days(self) -> Iterator[dt.date]:
        """Its days in order."""
        for number in range((self.beyond - self.first).days):
            yield self.first + dt.timedelta(days=number)

    def weeks(self) -> Iterator[Period]:
        """The whole weeks that end in it: a week belongs to the month of its Sunday."""
        week = containing("weekly", self.first, self.zone)
        while week.beyond <= self.beyond:
            yield week
            week = week.following

    def midnight(self, day: dt.date) -> dt.datetime:
        """When `day` begins, in UTC: a day on which clocks change has 23 or 25 hours."""
        return dt.datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(dt.UTC)

    def day_of(self, moment: dt.datetime) -> dt.date:
        """The day of a moment."""
        return moment.astimezone(self.zone).date()

    def __contains__(self, moment: dt.datetime) -> bool:
        """Whether a moment lies in it."""
        return self.first <= self.day_of(moment) < self.beyond


def containing(kind: str, day: dt.date, zone: ZoneInfo) -> Period:
    """The period of a kind that `day` belongs to."""
    if kind == "weekly":
        first = day - dt.timedelta(days=day.weekday())
        return Period(kind, first, first + dt.timedelta(days=7), zone)
    first = day.replace(day=1)
    return Period(kind, first, (first + dt.timedelta(days=31)).replace(day=1), zone)


def last_full(kind: str, now: dt.datetime, zone: ZoneInfo) -> Period:
    """The newest period that has ended."""
    return containing(kind, now.astimezone(zone).date(), zone).before


def named(kind: str, name: str, now: dt.datetime, zone: ZoneInfo) -> Period:
    """The period of that name (`2026-W47`, `2026-11`). Raises TargetError for another form, and while it lasts."""
    found = (_WEEK if kind == "weekly" else _MONTH).fullmatch(name)
    try:
        if found is None:
            raise ValueError(name)
        year, number = map(int, found.groups())
        day = dt.date.fromisocalendar(year, number, 1) if kind == "weekly" else dt.date(year, number, 1)
    except ValueError as error:
        form = "2026-W47" if kind == "weekly" else "2026-11"
        raise TargetError(say("--period {name!r}: expected a form such as {form}", name=name, form=form)) from error
    period = containing(kind, day, zone)
    if period.end > now:
        newest = last_full(kind, now, zone).name
        raise TargetError(
            say(
                "--period {name}: has not ended; only whole ones are reported, the newest is {newest}",
                name=name,
                newest=newest,
            )
        )
    return period
