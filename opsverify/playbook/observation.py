"""Observation of an incident: raw samples since it began, and what services report when the window begins and ends."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TextIO

from opsverify.config.model import require
from opsverify.config.playbook import SLOW
from opsverify.config.signals import SHARES
from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.metrics.counters import InstanceTimes, first_scrapes, increments
from opsverify.metrics.earlier_values import earlier_values
from opsverify.metrics.signal_meaning import LOOKED_BACK, unproven
from opsverify.probes.eventually import eventually
from opsverify.units import duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.playbook import Measure, Playbook, Source
    from opsverify.probes.prometheus import Prometheus
    from opsverify.probes.services import Services

NAME: Final = "playbook.json"
SHOW_EVERY_S: Final = 1.0
_OK: Final = 200

Points = dict[float, float]


@dataclass(frozen=True)
class Selectors:
    """Selectors of a share: of its bad ones (or `good` ones) and its trials."""

    counted: str
    trials: str
    good: bool


@dataclass(frozen=True)
class IncidentWindow:
    """What was observed: samples by selector and series, reported values by instance; times in Unix seconds.

    The incident lies between `since` and `start`, the window of the remedy between `start` and `end`. Selectors that
    are `unproven` have matched nothing, now and in the days before: their 0 may be that of a misspelt name.
    """

    since: float
    start: float
    end: float
    samples: Mapping[str, Mapping[str, Points]]
    reported: tuple[Mapping[str, str | None], Mapping[str, str | None]]
    unproven: frozenset[str] = frozenset()
    earlier: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By selector and series: what series that appeared meanwhile had counted before."""

    @classmethod
    def load(cls, path: Path) -> IncidentWindow:
        """The observation kept in `path`."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        samples = {
            selector: {key: {float(at): value for at, value in points.items()} for key, points in series.items()}
            for selector, series in raw["samples"].items()
        }
        reported, unproven = tuple(raw["reported"]), frozenset(raw["unproven"])
        return cls(raw["since"], raw["start"], raw["end"], samples, reported, unproven, raw.get("earlier", {}))

    def grown(self, what: str, selector: str, edges: Sequence[float], beside: Iterable[str]) -> tuple[float, ...]:
        """Growth of a counter in each step; `beside`: the selectors that tell when its instances were scraped.

        Raises Inconclusive for values that no counter can have.
        """
        series = self.samples[selector]
        if not series:
            return (0.0,) * (len(edges) - 1)
        scraped = first_scrapes(self.samples[each] for each in beside)
        times = InstanceTimes(scraped, earlier=self.earlier.get(selector, {}))
        return increments(series, edges, times).of_counters(what).steps

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.end - self.start


def selectors_of(measure: Measure, target: Target) -> Selectors:
    """How a measure's share is counted in Prometheus."""
    signals = require(target.prometheus).signals
    share = str(measure.share)
    if share == SLOW:
        return Selectors(
            signals.duration_buckets.bucket(target.limits.judgment_p95.bound),
            signals.of("durations").selector(),
            good=True,
        )
    if share in SHARES:
        name, good = signals.counted(share)
        return Selectors(signals.of(name).selector(), signals.of(SHARES[share].trials).selector(), good=good)
    return Selectors(share, str(measure.trials), good=False)


def instances_of(source: Source, target: Target) -> tuple[str, ...]:
    """The services that a source is read from."""
    return (source.service,) if source.service else target.playbook.instances


def key_of(source: Source, instance: str) -> str:
    """Where a reported value stands in an observation."""
    return f"{instance} {source.path} {source.field}"


def observe(
    playbook: Playbook,
    target: Target,
    prometheus: Prometheus,
    services: Services,
    since: float | None,
    show: Callable[[str], None],
    keep: TextIO,
) -> None:
    """Observe for the window of the target, then keep every raw sample since the incident began.

    Raises Inconclusive where Prometheus does not answer.
    """
    window_s = parse_duration(target.playbook.window)
    sources = [source for remedy in playbook.remedies.values() for source in remedy.sources]
    start = time.time()
    before = _reported(sources, target, services)

    def left() -> float:
        remaining = start + window_s - time.time()
        show(say("observing the platform under its remedy, {left} left", left=duration(round(max(0.0, remaining)))))
        return remaining

    eventually(
        left,
        lambda seconds: seconds <= 0,
        deadline_s=window_s + SHOW_EVERY_S,
        every_s=min(SHOW_EVERY_S, window_s / 4),
        what=say("the window to end"),
    )
    after = _reported(sources, target, services)
    end = time.time()
    look_s, step_s = parse_duration(target.playbook.look), parse_duration(target.playbook.step)
    began = start - look_s if since is None else min(since, start - step_s)
    samples = {
        selector: _samples(prometheus, target, selector, end - began, end)
        for selector in sorted(set(_selectors(playbook, target)))
    }
    earlier = dict(_earlier(prometheus, playbook, target, samples, (began, end)))
    meaningless = sorted(_meaningless(prometheus, playbook, target, samples))
    kept = {"samples": samples, "earlier": earlier, "reported": [before, after], "unproven": meaningless}
    json.dump({"since": began, "start": start, "end": end, **kept}, keep)


def _earlier(
    prometheus: Prometheus,
    playbook: Playbook,
    target: Target,
    samples: Mapping[str, Mapping[str, Points]],
    span: tuple[float, float],
) -> Iterator[tuple[str, dict[str, float]]]:
    shares = [one for one in (*playbook.fault.values(), *playbook.confirm.values()) if one.share is not None]
    whole = {found.counted: found.trials for found in (selectors_of(measure, target) for measure in shares)}
    buckets = require(target.prometheus).signals.duration_buckets
    for selector, series in samples.items():
        if buckets.absent is None and buckets.native and selector == buckets.selector():
            continue  # an instant query tells of all observations, not of those within the limit
        trials = whole.get(selector)
        scraped = first_scrapes([series, *([samples[trials]] if trials else [])])
        if found := earlier_values(prometheus, selector, series, scraped, span, trials):
            yield selector, found


def _meaningless(
    prometheus: Prometheus, playbook: Playbook, target: Target, samples: Mapping[str, Mapping[str, Points]]
) -> Iterator[str]:
    """The selectors without samples whose 0 proves nothing: by the signal's meaning, or nothing known of them."""
    measures = (*playbook.fault.values(), *playbook.confirm.values())
    signals = {
        selectors_of(measure, target).counted: str(measure.share) for measure in measures if measure.share in SHARES
    }
    for selector, series in samples.items():
        if not series and _proves_nothing(prometheus, target, selector, signals.get(selector)):
            yield selector


def _proves_nothing(prometheus: Prometheus, target: Target, selector: str, share: str | None) -> bool:
    if share is None:
        return not prometheus.known(selector, LOOKED_BACK)
    return unproven(prometheus, require(target.prometheus).signals, share) is not None


def _selectors(playbook: Playbook, target: Target) -> Iterator[str]:
    for measure in (*playbook.fault.values(), *playbook.confirm.values()):
        if measure.share is not None:
            found = selectors_of(measure, target)
            yield from (found.counted, found.trials)
        if measure.counter is not None:
            yield measure.counter
    for remedy in playbook.remedies.values():
        yield from (source.counter for source in remedy.sources if source.counter is not None)


def _samples(prometheus: Prometheus, target: Target, selector: str, span_s: float, at: float) -> dict[str, Points]:
    limit_s = target.limits.judgment_p95.bound
    return {
        series.key: dict(series.within(limit_s) if series.histograms and not series.points else series.points)
        for series in prometheus.history(selector, span_s, at)
    }


def _reported(sources: Iterable[Source], target: Target, services: Services) -> dict[str, str | None]:
    """What each instance reports now, by `key_of`; None where it gave no answer."""
    found: dict[str, str | None] = {}
    for source in sources:
        if source.field is None:
            continue
        for instance in instances_of(source, target):
            key = key_of(source, instance)
            if key not in found:
                found[key] = _value(services, instance, source)
    return found


def _value(services: Services, instance: str, source: Source) -> str | None:
    try:
        reply = services.get(instance, str(source.path))
        return as_text(reply.field(str(source.field))) if reply.status == _OK else None
    except Inconclusive:
        return None


def as_text(value: object) -> str:
    """A JSON value as a target writes it: `RULE_ONLY`, `15`, `true`."""
    return value if isinstance(value, str) else json.dumps(value)
