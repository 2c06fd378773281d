"""Circuit breakers: whether each has opened, tried half-open and closed again, and whether one is stuck.

What was counted over the look-back is enough. Where it is not, the breaker is opened and closed for real, if the target
allows that; else nothing is known of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.commands import run_command
from opsverify.errors import CheckFailed, Inconclusive
from opsverify.language.message import say
from opsverify.metrics.counters import InstanceTimes, first_scrapes, increments
from opsverify.metrics.earlier_values import earlier_values
from opsverify.probes.eventually import eventually
from opsverify.probes.prometheus_values import Series
from opsverify.units import duration, elapsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from opsverify.commands import Ran
    from opsverify.config.breakers import BreakerConfig, BreakerExercise
    from opsverify.config.model import Target
    from opsverify.language.message import Message
    from opsverify.limits import Limit
    from opsverify.probes.prometheus import Prometheus

FRESH_S: Final = 300.0
"""A gauge whose last sample is older says nothing about now."""
LOOKS: Final = 500
EVERY_S: Final = 1.0


@dataclass(frozen=True)
class Cycle:
    """How often a breaker opened, tried half-open and closed again, and where that was seen."""

    opened: float
    half_opened: float
    closed: float
    where: Message

    @property
    def whole(self) -> bool:
        """Whether it went through all three."""
        return min(self.opened, self.half_opened, self.closed) >= 1

    @property
    def counts(self) -> tuple[tuple[Message, float], ...]:
        """Each transition and how often it happened."""
        return (
            (say("opened"), self.opened),
            (say("tried half-open"), self.half_opened),
            (say("closed again"), self.closed),
        )


@dataclass(frozen=True)
class NotClosed:
    """For how long an instance's breaker has not been closed; 0 while it is."""

    instance: str
    seconds: float

    @property
    def text(self) -> Message:
        """Where, and for how long."""
        return say("{instance} for {age}", instance=self.instance or "?", age=elapsed(self.seconds))


def exercise_command(target: Target) -> Callable[[Sequence[str], BreakerExercise], Ran] | None:
    """How commands of an exercise are run; None where no fault may be caused: never in production."""
    if not target.faults.allowed or target.environment == "production":
        return None
    return lambda argv, exercise: run_command(argv, exercise.within_s, exercise.folder)


@dataclass(frozen=True)
class BreakerReview:
    """One breaker; `command` runs a command of its exercise, and is None where faults may not be caused."""

    name: str
    config: BreakerConfig
    prometheus: Prometheus
    command: Callable[[Sequence[str], BreakerExercise], Ran] | None = None

    def not_closed(self, limit: Limit) -> tuple[NotClosed, ...]:
        """Every instance, the one that is stuck longest first. Raises Inconclusive without a sample of lately."""
        span_s = 2 * limit.bound + FRESH_S
        now = self.prometheus.now()
        found = [
            NotClosed(series.labels.get("instance", ""), _since_closed(series, now))
            for series in self.prometheus.history(self.config.not_closed, span_s)
            if series.points and now - series.points[-1][0] <= FRESH_S
        ]
        if not found:
            raise Inconclusive(
                say(
                    "breaker {name}: no sample of {selector} in the last {span}; correct not_closed, or export it",
                    name=self.name,
                    selector=self.config.not_closed,
                    span=duration(FRESH_S),
                )
            )
        return tuple(sorted(found, key=lambda one: -one.seconds))

    def cycle(self) -> Cycle:
        """What was counted over the look-back, or an exercise now. Raises Inconclusive where neither tells."""
        counted = self._counted()
        if counted.whole:
            return counted
        if self.config.exercise is not None and self.command is not None:
            return self._exercised(self.config.exercise, self.command)
        raise Inconclusive(
            say(
                "breaker {name}: opened {opened:.0f}, half-open {half_opened:.0f}, closed {closed:.0f} times in "
                "{lookback}, no whole cycle; where faults may be caused, add [breakers.{name}.exercise] and "
                "[faults] allowed = true",
                name=self.name,
                opened=counted.opened,
                half_opened=counted.half_opened,
                closed=counted.closed,
                lookback=self.config.lookback,
            )
        )

    def _counted(self) -> Cycle:
        span_s = self.config.lookback_s
        step_s = max(1.0, span_s / LOOKS)
        gauge = self.prometheus.every(self.config.not_closed, span_s, step_s)

        def grown(selector: str) -> float:
            found = (*self.prometheus.every(selector, span_s, step_s), *self._now(selector))
            return _growth(self.prometheus, selector, found, gauge)

        opened, half_opened, closed = map(grown, (self.config.opened, self.config.half_opened, self.config.closed))
        return Cycle(opened, half_opened, closed, say("in the last {lookback}", lookback=self.config.lookback))

    def _exercised(self, exercise: BreakerExercise, command: Callable[[Sequence[str], BreakerExercise], Ran]) -> Cycle:
        """Make the breaker open, end what made it, and count until it has closed; what was caused always ends."""
        config = self.config
        before = [self._sum(selector) for selector in (config.opened, config.half_opened, config.closed)]

        def grown(number: int, selector: str) -> float:
            return self._sum(selector) - before[number]

        def awaited(what: Message, counts: Callable[[], tuple[float, ...]]) -> tuple[float, ...]:
            return eventually(
                counts, lambda found: min(found) >= 1, deadline_s=exercise.within_s, every_s=EVERY_S, what=what
            )

        ran = command(exercise.on, exercise)
        try:
            if not ran.ok:
                raise Inconclusive(say("{argv}: {text}", argv=" ".join(exercise.on), text=ran.text))
            (opened,) = awaited(say("the breaker to open"), lambda: (grown(0, config.opened),))
        finally:
            ended = command(exercise.off, exercise)
            if not ended.ok:
                raise CheckFailed(
                    say(
                        "{argv}: {text}; the fault that was caused for breaker {name} is still on, end it by hand",
                        argv=" ".join(exercise.off),
                        text=ended.text,
                        name=self.name,
                    )
                )
        where = say("exercised now")
        if opened < 1:
            self._require_series(config.opened)
            return Cycle(opened, 0, 0, where)

        def closed_everywhere() -> float:
            return grown(2, config.closed) if self._sum(config.not_closed) == 0 else 0.0

        half_opened, closed = awaited(
            say("the breaker to close again"), lambda: (grown(1, config.half_opened), closed_everywhere())
        )
        return Cycle(opened, half_opened, closed, where)

    def _now(self, selector: str) -> Iterator[Series]:
        """The latest sample of each series: the steps of a quarter are hours apart."""
        for sample in self.prometheus.whole(selector).samples:
            yield Series(sample.labels, ((sample.at, sample.value),))

    def _sum(self, selector: str) -> float:
        return sum(sample.value for sample in self.prometheus.whole(selector).samples)

    def _require_series(self, selector: str) -> None:
        """Raise Inconclusive where the selector has never matched: it may be misspelt, and its 0 no count."""
        if not self.prometheus.known(selector, self.config.lookback):
            raise Inconclusive(
                say(
                    "breaker {name}: {selector} has matched nothing in {back}, a 0 of it proves nothing; correct it",
                    name=self.name,
                    selector=selector,
                    back=self.config.lookback,
                )
            )


def _since_closed(series: Series, now: float) -> float:
    """Seconds since the gauge was 0 last, up to now; at least since its first sample."""
    last = None
    for at, value in series.points:
        if value == 0:
            last = at
    if last == series.points[-1][0]:
        return 0.0
    return now - (series.points[0][0] if last is None else last)


def _growth(prometheus: Prometheus, selector: str, counter: Iterable[Series], gauge: Iterable[Series]) -> float:
    """Growth over the look-back; a series that appears while its instance was scraped begins from zero, or its past."""
    counted: dict[str, dict[float, float]] = {}
    for series in counter:
        counted.setdefault(series.key, {}).update(series.points)
    scraped = {series.key: dict(series.points) for series in gauge if series.points}
    moments = [at for points in (*counted.values(), *scraped.values()) for at in points]
    if not any(counted.values()) or max(moments) <= min(moments):
        return 0.0
    edges = [min(moments), max(moments)]
    first = first_scrapes([counted, scraped])
    earlier = earlier_values(prometheus, selector, counted, first, (edges[0], edges[1]))
    return increments(counted, edges, InstanceTimes(first, earlier=earlier)).total
