"""Counters: growth of raw samples in each step of a window; pure functions over samples as Prometheus scraped them.

Prometheus' own `increase()` extrapolates, and loses the first errors of a label that is new. Here:

- a counter that falls has restarted, where one process can have counted the new value since the scrape before
  (`resets`): it grew by that (what the old process counted after its last scrape is lost). Any other fall is no
  growth; where such falls are more than `_SMALL` of all growth, this is no counter of one process;
- a restart whose new value already exceeds the old one is detected by the start time;
- a series that appears while its instance was scraped before starts from zero (a label's first use), or from what it
  was known to have counted before the window (`earlier_values`);
- a series of an instance first scraped in mid-window starts from zero only if the process is known to have
  started in the window; one that was only not scraped before brings a count of days with it, and only anchors;
- a series that vanishes keeps its growth, and continues from there if it appears again;
- a gap loses nothing: the difference over it counts in the step of the first sample after it;
- samples that are NaN, infinite or negative are left out, and reported.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.metrics.identity import process_of
from opsverify.metrics.resets import Resets, falls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_INSTANCE: Final = re.compile(r"(?:^|,)instance=([^,]*)")


_SMALL: Final = 0.01
"""Part of all growth that falls may be, and be left out."""


class Reason(StrEnum):
    """Why a sample was left out."""

    NAN = say("not a number")
    INFINITE = "infinite"
    NEGATIVE = "negative"

    @property
    def text(self) -> str:
        """The reason in words."""
        return {
            Reason.NAN: say("not a number"),
            Reason.INFINITE: say("infinite"),
            Reason.NEGATIVE: say("negative"),
        }[self]


@dataclass(frozen=True)
class Rejected:
    """One sample that no counter can have had: series, scrape time (Unix seconds), reason."""

    series: str
    at: float
    reason: Reason


@dataclass(frozen=True)
class Fall:
    """A series that fell without a restart: key, and the values before and after."""

    series: str
    old: float
    new: float


@dataclass(frozen=True)
class Growth:
    """Growth of one signal in each step, and what happened to its series; names are series keys."""

    steps: tuple[float, ...]
    restarted: tuple[str, ...] = ()
    appeared: tuple[str, ...] = ()
    unanchored: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    fallen: tuple[Fall, ...] = ()

    @property
    def total(self) -> float:
        """Growth over the whole window."""
        return math.fsum(self.steps)

    def of_counters(self, what: str) -> Growth:
        """This growth. Raises Inconclusive where `what` has samples that no counter of one process can have."""
        for bad in self.rejected:
            raise Inconclusive(
                say(
                    "{what} {{{series}}}: a sample is {reason}; check the service's /metrics",
                    what=what,
                    series=bad.series,
                    reason=bad.reason.text,
                )
            )
        if math.fsum(fall.old - fall.new for fall in self.fallen) > _SMALL * self.total:
            most = max(self.fallen, key=lambda fall: fall.old - fall.new)
            raise Inconclusive(
                say(
                    "{what} {{{series}}} fell from {old:,.6g} to {new:,.6g}, more than one process can have counted "
                    "since the scrape before: no cumulative counter of one process; select each process by itself, not "
                    "a shared address, several workers, a recording rule or a gauge",
                    what=what,
                    series=most.series,
                    old=most.old,
                    new=most.new,
                )
            )
        return self


@dataclass(frozen=True)
class InstanceTimes:
    """When each instance was first scraped for any signal, and when it started, where known (Unix seconds).

    `earlier`: by series, what it had counted before the window, of those that appear in it with a past. `named`: the
    instance of a series; behind a collector one pod says nothing of another.
    """

    first_scraped: Mapping[str, float] = field(default_factory=dict)
    started: Mapping[str, float] = field(default_factory=dict)
    earlier: Mapping[str, float] = field(default_factory=dict)
    named: Callable[[str], str] = process_of


def instance_of(series: str) -> str:
    """Return the instance in a series key such as `code=500,instance=10.0.0.1:8000`; empty without one."""
    match = _INSTANCE.search(series)
    return match[1] if match else ""


def first_scrapes(signals: Iterable[Mapping[str, Mapping[float, float]]]) -> dict[str, float]:
    """First scrape of each process, over all signals."""
    first: dict[str, float] = {}
    for series in signals:
        for key, points in series.items():
            if points:
                instance = process_of(key)
                first[instance] = min(first.get(instance, math.inf), *points)
    return first


def increments(
    series: Mapping[str, Mapping[float, float]],
    edges: Sequence[float],
    instances: InstanceTimes | None = None,
    *,
    part: bool = True,
) -> Growth:
    """Sum up the growth in each step between consecutive `edges` (Unix seconds, ascending).

    `series` holds samples by scrape time. Samples at or before the first edge anchor their series; so does
    the first sample of the first step, where there is none before. `instances` must come from all signals
    of the scope (`first_scrapes`). `part`: of another signal, as failures are, which may come much faster
    than before once a process has restarted. Raises ValueError for edges that do not ascend.
    """
    if not edges[1:] or any(later <= earlier for earlier, later in pairwise(edges)):
        raise ValueError("expected at least two step edges, ascending")
    known = instances or InstanceTimes(first_scrapes([series]))
    tally = Tally(edges[0], edges[1], Resets(series, part=part))
    steps = []
    for earlier, later in pairwise([-math.inf, *edges[1:]]):
        new = {
            key: {at: value for at, value in points.items() if earlier < at <= later} for key, points in series.items()
        }
        steps.append(tally.advance(new, known))
    return tally.growth(steps, edges[-2])


def reason_against(value: float) -> Reason | None:
    """Why no counter can have this value; None if one can."""
    if 0 <= value < math.inf:
        return None
    if math.isnan(value):
        return Reason.NAN
    if math.isinf(value):
        return Reason.INFINITE
    return Reason.NEGATIVE


class Tally:
    """Adds up one signal's series as their samples come in; `start` and `anchored_until` in Unix seconds.

    A sample counts when it is added, however old: one that was scraped before a query and stored after it
    belongs to the next one. Without `resets` every fall is one.
    """

    def __init__(self, start: float, anchored_until: float, resets: Resets | None = None) -> None:
        self._resets = resets
        self.fallen: list[Fall] = []
        self._start = start
        self._anchored_until = anchored_until
        self._last: dict[str, tuple[float, float]] = {}
        self.total = 0.0
        self.restarted: dict[str, None] = {}
        self.appeared: list[str] = []
        self.unanchored: list[str] = []
        self.rejected: list[Rejected] = []

    def advance(self, series: Mapping[str, Mapping[float, float]], instances: InstanceTimes) -> float:
        """Add new samples; how much the signal grew by them."""
        grown = math.fsum(amount for key in sorted(series) for amount in self._amounts(key, series[key], instances))
        self.total += grown
        return grown

    def growth(self, steps: Sequence[float], alive_since: float) -> Growth:
        """Everything so far; a series without a sample after `alive_since` has vanished."""
        return Growth(
            tuple(steps),
            tuple(self.restarted),
            tuple(self.appeared),
            tuple(self.unanchored),
            tuple(key for key, (at, _) in self._last.items() if at <= alive_since),
            tuple(self.rejected),
            tuple(self.fallen),
        )

    def _amounts(self, key: str, points: Mapping[float, float], instances: InstanceTimes) -> Iterator[float]:
        usable = self._usable(key, points)
        if not usable:
            return
        previous = self._last.get(key) or self._anchor(key, usable, instances)
        started = instances.started.get(instances.named(key), -math.inf)
        for at, value in usable:
            if at > previous[0]:
                begun = previous[0] < started <= at
                if not begun and self._odd(key, previous, (at, value)):
                    self.fallen.append(Fall(key, previous[1], value))
                    previous = (at, value)
                    continue
                restarted = value < previous[1] or begun
                if restarted and value != previous[1]:
                    self.restarted[key] = None
                yield value if restarted else value - previous[1]
                previous = (at, value)
        self._last[key] = previous

    def _odd(self, key: str, old: tuple[float, float], new: tuple[float, float]) -> bool:
        """Whether a series fell without having been reset."""
        return self._resets is not None and falls(new[1], old[1]) and not self._resets.believed(key, old, new)

    def _usable(self, key: str, points: Mapping[float, float]) -> list[tuple[float, float]]:
        usable = []
        for at, value in sorted(points.items()):
            reason = reason_against(value)
            if reason is None:
                usable.append((at, value))
            else:
                self.rejected.append(Rejected(key, at, reason))
        return usable

    def _anchor(self, key: str, usable: list[tuple[float, float]], instances: InstanceTimes) -> tuple[float, float]:
        """Find the sample, real or zero, from which the series' growth in the window is counted."""
        before = [point for point in usable if point[0] <= self._start]
        if before:
            return before[-1]
        first_at, first_value = usable[0]
        instance = instances.named(key)
        started_inside = instances.started.get(instance, -math.inf) > self._start
        if key in instances.earlier and not started_inside:
            return (self._start, instances.earlier[key])
        if started_inside or instances.first_scraped.get(instance, math.inf) < first_at:
            self.appeared.append(key)
            return (self._start, 0.0)
        if first_at > self._anchored_until:
            self.unanchored.append(key)
        return (first_at, first_value)
