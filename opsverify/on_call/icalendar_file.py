"""iCalendar file of shifts (RFC 5545): recurrences are expanded, what is cancelled or transparent is no shift."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.language.plain import plain_line
from opsverify.on_call.shift import Calendar, Hours, Shift

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY = dt.timedelta(days=1)


def read_icalendar(name: str, text: str, period: Hours, time_zone: str | None, people: Mapping[str, str]) -> Calendar:
    """Return the shifts of `text` that touch `period`; `people` maps names, as `known_as` has them, to persons.

    An entry is a person's by its attendee where there is exactly one, else by its summary. Days without a time are
    those of `time_zone`. A floating time (without a zone) is no time: it is listed as unclear.
    Raises Inconclusive for text that is no calendar.
    """
    import icalendar  # noqa: PLC0415 - 60 ms, for one check of a quarter
    import recurring_ical_events  # noqa: PLC0415 - as above

    try:
        calendar = icalendar.Calendar.from_ical(text)
        # A day on either side: a floating or whole day lies somewhere within it, in whatever zone.
        found = recurring_ical_events.of(calendar).between(period.start - _DAY, period.end + _DAY)
    except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise Inconclusive(
            say("{name}: no iCalendar file ({error})", name=name, error=plain_line(str(error)))
        ) from error
    shifts: list[Shift] = []
    unclear: list[str] = []
    for event in found:
        if str(event.get("STATUS", "")).upper() == "CANCELLED" or str(event.get("TRANSP", "")).upper() == "TRANSPARENT":
            continue
        summary = plain_line(str(event.get("SUMMARY", "")))
        start, end = event["DTSTART"].dt, event["DTEND"].dt
        span = _span(start, end, time_zone)
        if span is None:
            unclear.append(f"{summary or '-'} {start}")
        elif span.within(period):
            shifts.append(Shift(_person(event, summary, people), span))
    return Calendar(tuple(shifts), tuple(unclear))


def _span(start: dt.date, end: dt.date, time_zone: str | None) -> Hours | None:
    if isinstance(start, dt.datetime) and isinstance(end, dt.datetime):
        if start.tzinfo is None or end.tzinfo is None:
            return None
        return Hours(start.astimezone(dt.UTC), end.astimezone(dt.UTC))
    if time_zone is None:
        return None
    zone = ZoneInfo(time_zone)
    first, last = (dt.datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(dt.UTC) for day in (start, end))
    return Hours(first, last)


def _person(event: Any, summary: str, people: Mapping[str, str]) -> str:  # noqa: ANN401 - untyped library
    attendees = event.get("ATTENDEE", [])
    attendees = attendees if isinstance(attendees, list) else [attendees]
    if len(attendees) == 1:
        for text in (str(attendees[0].params.get("CN", "")), str(attendees[0])):
            if known_as(text) in people:
                return text
    if known_as(summary) in people:
        return summary
    # PagerDuty and Opsgenie write "On Call - NAME - SCHEDULE".
    return next((part for part in summary.split(" - ") if known_as(part) in people), summary)


def known_as(text: str) -> str:
    """A name as names are compared: without `mailto:`, blanks around it, and case."""
    return text.strip().removeprefix("mailto:").removeprefix("MAILTO:").strip().casefold()
