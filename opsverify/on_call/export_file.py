"""Export of a schedule as JSON: the answers of PagerDuty (`/schedules/ID`) and Opsgenie (`/schedules/ID/timeline`)."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.on_call.shift import Calendar, Hours, Shift

if TYPE_CHECKING:
    from collections.abc import Iterator


def read_export(name: str, text: str, period: Hours) -> Calendar:
    """Return the shifts of an export that touch `period`. Raises Inconclusive for another form."""
    try:
        entries = list(_entries(json.loads(text)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Inconclusive(
            say(
                "{name}: no export of PagerDuty or Opsgenie ({error})",
                name=name,
                error=f"{type(error).__name__}: {error}",
            )
        ) from error
    shifts: list[Shift] = []
    unclear: list[str] = []
    for person, begun, ended in entries:
        start, end = dt.datetime.fromisoformat(begun), dt.datetime.fromisoformat(ended)
        if start.tzinfo is None or end.tzinfo is None:
            unclear.append(f"{person} {begun}")
        elif (span := Hours(start.astimezone(dt.UTC), end.astimezone(dt.UTC))).within(period):
            shifts.append(Shift(person, span))
    return Calendar(tuple(shifts), tuple(unclear))


def _entries(content: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Person, start and end of each rendered entry, overrides already applied."""
    if "schedule" in content:  # PagerDuty
        for entry in content["schedule"]["final_schedule"]["rendered_schedule_entries"]:
            yield entry["user"]["summary"], _checked(entry["start"]), _checked(entry["end"])
        return
    for rotation in content["data"]["finalTimeline"]["rotations"]:  # Opsgenie
        for period in rotation["periods"]:
            if "recipient" in period:
                yield period["recipient"]["name"], _checked(period["startDate"]), _checked(period["endDate"])


def _checked(moment: str) -> str:
    dt.datetime.fromisoformat(moment)
    return moment
