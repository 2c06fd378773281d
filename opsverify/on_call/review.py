"""Review of a schedule: which hours nobody covers, who stands in it wrongly, and how the load is shared."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.on_call.export_file import read_export
from opsverify.on_call.icalendar_file import known_as, read_icalendar
from opsverify.on_call.shift import Calendar, Hours, common, gaps, merged
from opsverify.on_call.toml_file import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opsverify.config.on_call import OnCall

Times = dict[str, list[Hours]]
"""Spans by person."""


@dataclass(frozen=True)
class OnCallReview:
    """The shifts of known persons by level, and what is wrong with the rest; `leave` is when who is away."""

    period: Hours
    levels: Mapping[str, Times]
    leave: Times
    unknown: tuple[str, ...]
    unclear: tuple[str, ...]

    @property
    def text(self) -> str:
        """Everything that was read, for the evidence: hours by person, shifts by level, what counts for nobody."""
        rows = [f"period {times_of(self.period)}", *(f"{who}: {hours:.1f} h" for who, hours in self.hours().items())]
        for level, times in {**self.levels, "leave": self.leave}.items():
            shifts = sorted((span, person) for person, spans in times.items() for span in spans)
            rows += [f"{level} {times_of(span)} {person}" for span, person in shifts]
        rows += [f"unknown: {entry}" for entry in self.unknown]
        return "\n".join([*rows, *(f"unclear: {entry}" for entry in self.unclear)])

    @staticmethod
    def texts(entries: Iterable[tuple[str, Hours]]) -> list[str]:
        """What each entry is about, with its times."""
        return [f"{what} {times_of(span)}" for what, span in entries]

    def uncovered(self) -> Iterator[tuple[str, Hours]]:
        """Level and time that no known person who is not on leave covers."""
        for level, times in self.levels.items():
            reachable = (
                span for person, spans in times.items() for span in _without(spans, self.leave.get(person, []))
            )
            for gap in gaps(reachable, self.period):
                yield level, gap

    def misplaced(self) -> Iterator[str]:
        """Persons on two levels at once, and on call while they are on leave, one line each."""
        for (one, first), (other, second) in combinations(self.levels.items(), 2):
            for person in sorted(first.keys() & second.keys()):
                for span in _inside(common(first[person], second[person]), self.period):
                    yield f"{person}: {one}, {other} {times_of(span)}"
        for level, times in self.levels.items():
            for person in sorted(times.keys() & self.leave.keys()):
                for span in _inside(common(times[person], self.leave[person]), self.period):
                    yield f"{person}: {level}, leave {times_of(span)}"

    def overlapping(self) -> Iterator[tuple[str, Hours]]:
        """Times at which two persons are on call on one level: a handover that does not meet."""
        for level, times in self.levels.items():
            for (one, first), (other, second) in combinations(sorted(times.items()), 2):
                for span in _inside(common(first, second), self.period):
                    yield f"{level} {one}, {other}", span

    def hours(self) -> dict[str, float]:
        """Hours on call in the period, by person, over all levels."""
        found: dict[str, float] = {}
        for times in self.levels.values():
            for person, spans in times.items():
                inside = sum(span.seconds for span in _inside(merged(spans), self.period))
                found[person] = found.get(person, 0.0) + inside / 3600
        return dict(sorted(found.items()))


def times_of(span: Hours) -> str:
    """A span in UTC, to the minute."""
    return f"{span.start:%Y-%m-%d %H:%M} - {span.end:%m-%d %H:%M} UTC"


def review_of(config: OnCall, now: dt.datetime) -> OnCallReview:
    """Read the calendars of `config` and review the period from `now` on.

    Raises Inconclusive for a calendar that cannot be read.
    """
    period = Hours(now.astimezone(dt.UTC), now.astimezone(dt.UTC) + dt.timedelta(seconds=config.period_s))
    people = {known_as(name): person for person, names in config.people.items() for name in (person, *names)}
    unknown: list[str] = []
    unclear: list[str] = []
    levels: dict[str, Times] = {}
    for level, given in config.levels.items():
        calendar = _read(given.calendar, period, config.time_zone, people)
        levels[level] = _by_person(calendar, people, level, unknown)
        unclear += [f"{level} {entry}" for entry in calendar.unclear]
    leave: Times = {}
    if config.leave is not None:
        calendar = _read(config.leave, period, config.time_zone, people)
        leave = _by_person(calendar, people, "leave", unknown)
        unclear += [f"leave {entry}" for entry in calendar.unclear]
    return OnCallReview(period, levels, leave, tuple(unknown), tuple(unclear))


def on_duty(config: OnCall, moment: dt.datetime) -> dict[str, tuple[str, ...]]:
    """Who is on call at `moment` on each level and not on leave. Raises Inconclusive for an unreadable calendar."""
    review = review_of(config.model_copy(update={"period": "1m"}), moment)

    def stands(spans: list[Hours]) -> bool:
        return any(span.start <= review.period.start < span.end for span in spans)

    return {
        level: tuple(
            sorted(
                person for person, spans in times.items() if stands(spans) and not stands(review.leave.get(person, []))
            )
        )
        for level, times in review.levels.items()
    }


def _read(path: str, period: Hours, time_zone: str | None, people: Mapping[str, str]) -> Calendar:
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Inconclusive(say("on-call calendar {path}: cannot be read ({error})", path=path, error=error)) from error
    if file.suffix == ".ics":
        return read_icalendar(file.name, text, period, time_zone, people)
    return (read_toml if file.suffix == ".toml" else read_export)(file.name, text, period)


def _by_person(calendar: Calendar, people: Mapping[str, str], level: str, unknown: list[str]) -> Times:
    found: Times = {}
    for shift in calendar.shifts:
        person = people.get(known_as(shift.person))
        if person is None:
            unknown.append(f"{level} {shift.person!r} {times_of(shift.span)}")
        else:
            found.setdefault(person, []).append(shift.span)
    return found


def _inside(spans: list[Hours], period: Hours) -> list[Hours]:
    return [inside for span in spans if (inside := span.within(period))]


def _without(spans: list[Hours], others: list[Hours]) -> Iterator[Hours]:
    for span in merged(spans):
        yield from gaps(others, span)
