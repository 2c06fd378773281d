"""Shift of one person on one level, and the arithmetic of time spans: in UTC, whatever zone a calendar is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, order=True)
class Hours:
    """From `start` up to, not including, `end`: two aware times."""

    start: dt.datetime
    end: dt.datetime

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.start).total_seconds()

    def within(self, other: Hours) -> Hours | None:
        """The part that lies in `other`; None where there is none."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Hours(start, end) if start < end else None


@dataclass(frozen=True)
class Shift:
    """When a person is on call; `person` as the calendar names them."""

    person: str
    span: Hours


@dataclass(frozen=True)
class Calendar:
    """Shifts of one calendar, and its entries whose time cannot be known, each as one line."""

    shifts: tuple[Shift, ...]
    unclear: tuple[str, ...] = ()


def merged(spans: Iterable[Hours]) -> list[Hours]:
    """The same times as spans that neither touch nor overlap, in order."""
    found: list[Hours] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end:
            found[-1] = Hours(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def gaps(spans: Iterable[Hours], period: Hours) -> Iterator[Hours]:
    """The parts of `period` that no span covers, in order."""
    at = period.start
    for span in merged(spans):
        inside = span.within(period)
        if inside is None:
            continue
        if inside.start > at:
            yield Hours(at, inside.start)
        at = max(at, inside.end)
    if at < period.end:
        yield Hours(at, period.end)


def common(first: Sequence[Hours], second: Sequence[Hours]) -> list[Hours]:
    """The times that are in spans of both."""
    parts = (one.within(other) for one in merged(first) for other in merged(second))
    return merged(part for part in parts if part)
