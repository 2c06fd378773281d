"""TOML file of shifts: a list of them, or a rotation whose handovers keep their local time over daylight saving."""

from __future__ import annotations

import datetime as dt
import tomllib
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opsverify.config.wrong_value import key_of, problem_of
from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.on_call.shift import Calendar, Hours, Shift
from opsverify.units import parse_duration

_DAY_S = 86400.0


class _Rotation(BaseModel):
    model_config = ConfigDict(extra="forbid")
    people: list[str] = Field(min_length=1)
    start: dt.datetime
    every: str
    time_zone: str


class _Shift(BaseModel):
    model_config = ConfigDict(extra="forbid")
    who: str
    start: dt.datetime
    end: dt.datetime


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rotation: _Rotation | None = None
    shift: list[_Shift] = Field(default_factory=list)


def read_toml(name: str, text: str, period: Hours) -> Calendar:
    """Return the shifts of `text` that touch `period`.

    `[rotation]` has `people`, `start` (local, without zone), `every` (whole days), `time_zone`; `[[shift]]` has `who`,
    `start` and `end`. A shift without zone is unclear. Raises Inconclusive for another form.
    """
    try:
        file = _File.model_validate(tomllib.loads(text))
        rotated = _rotated(file.rotation, period) if file.rotation else []
    except ValidationError as error:
        first = error.errors()[0]
        problem = say("{name}: {key}: {problem}", name=name, key=key_of(first), problem=problem_of(first))
        raise Inconclusive(problem) from error
    except (ValueError, KeyError) as error:
        raise Inconclusive(say("{name}: {error}", name=name, error=error)) from error
    shifts: list[Shift] = []
    unclear: list[str] = []
    for entry in file.shift:
        if entry.start.tzinfo is None or entry.end.tzinfo is None:
            unclear.append(f"{entry.who} {entry.start}")
        elif (span := Hours(entry.start.astimezone(dt.UTC), entry.end.astimezone(dt.UTC))).within(period):
            shifts.append(Shift(entry.who, span))
    return Calendar((*rotated, *shifts), tuple(unclear))


def _rotated(rotation: _Rotation, period: Hours) -> list[Shift]:
    days, rest = divmod(parse_duration(rotation.every), _DAY_S)
    if rest or not days or rotation.start.tzinfo is not None:
        raise ValueError(say("rotation: expected every in whole days, and a start without zone, in time_zone"))
    zone = ZoneInfo(rotation.time_zone)

    def handover(number: int) -> dt.datetime:
        # Local arithmetic: nine o'clock stays nine o'clock when the clocks change.
        local = rotation.start + dt.timedelta(days=days * number)
        return local.replace(tzinfo=zone).astimezone(dt.UTC)

    number = max(0, int((period.start - handover(0)) / dt.timedelta(days=days)) - 1)
    shifts: list[Shift] = []
    while (start := handover(number)) < period.end:
        span = Hours(start, handover(number + 1))
        if span.within(period):
            shifts.append(Shift(rotation.people[number % len(rotation.people)], span))
        number += 1
    return shifts
