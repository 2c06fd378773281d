"""State after a rollback: who serves, and how well, in one short observation that begins once the steps are done."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from opsverify.config.model import require
from opsverify.config.signals import SHARES
from opsverify.core.interval import Share
from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.metrics.counted_elsewhere import require_a_part
from opsverify.metrics.counters import InstanceTimes, first_scrapes, increments
from opsverify.metrics.earlier_values import earlier_values
from opsverify.metrics.freshness import require_fresh
from opsverify.metrics.same_series import same_share
from opsverify.metrics.signal_meaning import unproven
from opsverify.probes.eventually import eventually
from opsverify.units import duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.signals import Signals
    from opsverify.probes.prometheus import Prometheus

EVERYTHING = "everything"
BASELINE = "baseline"
COUNTERS = ("requests", "request_errors", "durations", "cache_lookups", "cache_misses")
WITHIN_LIMIT = "durations_within_limit"
SHOW_EVERY_S = 1.0


@dataclass(frozen=True)
class AfterRollback:
    """Raw samples of the observation, from `start` to `end` (Unix seconds), by scope, signal and series."""

    start: float
    end: float
    samples: Mapping[str, Mapping[str, Mapping[str, Mapping[float, float]]]]
    target: Target
    unproven: str | None = None
    """Why no series of failed requests does not mean that none failed; None where it does."""
    same: Mapping[str, str] = field(default_factory=dict)
    """By bad ones: that they, or the good ones, are the same series as their trials."""
    earlier: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    """By scope, signal and series: what series that appeared meanwhile had counted before."""

    @classmethod
    def load(cls, path: Path, target: Target) -> AfterRollback:
        """The observation kept in `path`."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        samples = {
            scope: {
                signal: {key: {float(at): value for at, value in points.items()} for key, points in series.items()}
                for signal, series in signals.items()
            }
            for scope, signals in raw["samples"].items()
        }
        return cls(
            raw["start"], raw["end"], samples, target, raw.get("unproven"), raw.get("same", {}), raw.get("earlier", {})
        )

    def outside_baseline(self) -> Share:
        """The share of all requests that the baseline did not serve.

        Computed from what the baseline did *not* serve: a misspelt canary is not taken for none.
        """
        total = self._grown(EVERYTHING, "requests")
        baseline = self._grown(BASELINE, "requests")
        return self._share(total - baseline, total, say("requests not served by the baseline"))

    def errors(self) -> Share:
        """The share of the baseline's requests that failed."""
        name, good = self._signals.counted("request_errors")
        total = self._grown(BASELINE, "requests")
        self._require_told_apart("request_errors")
        if not self.samples[BASELINE][name] and not good:
            # A status code is exported from its first use on: none yet means that none failed, if it would match.
            if self.unproven is not None:
                raise Inconclusive(self.unproven)
            return self._share(0.0, total, say("requests failed"))
        counted = self._grown(BASELINE, name)
        self._require_a_part((name, counted), ("requests", total), BASELINE)
        return self._share(total - counted if good else counted, total, say("requests failed"))

    def slow(self) -> Share:
        """The share of the baseline's requests slower than the limit on p95."""
        total = self._grown(BASELINE, "durations")
        limit = self.target.limits.judgment_p95
        within = self._grown(BASELINE, WITHIN_LIMIT)
        self._require_a_part(("duration_buckets", within), ("durations", total), BASELINE)
        slow = total - within
        return self._share(slow, total, say("requests slower than {limit}", limit=duration(limit.bound)))

    def hits(self) -> Share:
        """The share of cache lookups that hit."""
        lookups = self._grown(EVERYTHING, "cache_lookups")
        self._require_told_apart("cache_misses")
        name, good = self._signals.counted("cache_misses")
        counted = self._grown(EVERYTHING, name)
        self._require_a_part((name, counted), ("cache_lookups", lookups), EVERYTHING)
        return self._share(counted if good else lookups - counted, lookups, say("lookups hit the cache"))

    def _require_told_apart(self, bad: str) -> None:
        if bad in self.same:
            raise Inconclusive(self.same[bad])

    def _require_a_part(self, part: tuple[str, float], trials: tuple[str, float], scope: str) -> None:
        baseline = self.target.canary.baseline if self.target.canary and scope == BASELINE else ""
        require_a_part(self._signals, part, trials, baseline)

    @property
    def _signals(self) -> Signals:
        return require(self.target.prometheus).signals

    def _grown(self, scope: str, signal: str) -> float:
        series = self.samples[scope].get(signal)
        if not series:
            raise Inconclusive(
                say(
                    "{signal} of {scope}: no samples since the rollback; check that it is scraped, and "
                    "prometheus.signals",
                    signal=signal,
                    scope=scope,
                )
            )
        require_fresh(f"{signal} of {scope}", (at for points in series.values() for at in points), self.end)
        earlier = self.earlier.get(scope, {}).get(signal, {})
        known = InstanceTimes(first_scrapes(self.samples[scope].values()), earlier=earlier)
        what = say("{signal} of {scope}", signal=signal, scope=scope)
        return increments(series, (self.start, self.end), known).of_counters(what).total

    def _share(self, part: float, total: float, what: str) -> Share:
        seconds = duration(round(self.end - self.start))
        share = max(0.0, part) / total if total else float("nan")
        return Share(
            share, round(total), say("of {total:,.0f} {what} in {seconds}", total=total, what=what, seconds=seconds)
        )


def observe(prometheus: Prometheus, target: Target, show: Callable[[str], None], keep: TextIO) -> None:
    """Observe for `actions.look` of the target, then keep every raw sample of that time.

    The time is Prometheus' own, as that of its samples is: by another clock it would begin before the rollback.
    Raises Inconclusive where Prometheus does not answer, or has no sample of that time.
    """
    span_s = parse_duration(target.actions.look)
    start = time.monotonic()

    def left() -> float:
        remaining = start + span_s - time.monotonic()
        show(say("observing the rolled back platform, {left} left", left=duration(round(max(0.0, remaining)))))
        return remaining

    eventually(
        left,
        lambda seconds: seconds <= 0,
        deadline_s=span_s + SHOW_EVERY_S,
        every_s=SHOW_EVERY_S,
        what=say("the observation to end"),
    )
    observed_s = time.monotonic() - start
    end = prometheus.now()
    start = end - observed_s
    signals = require(target.prometheus).signals
    scopes = {EVERYTHING: "", BASELINE: target.canary.baseline if target.canary else ""}
    samples = {scope: _samples(prometheus, target, matchers, end - start, end) for scope, matchers in scopes.items()}
    missing = not samples[BASELINE].get(signals.counted("request_errors")[0])
    doubt = unproven(prometheus, signals, "request_errors") if missing else None
    same = {bad: text for bad in SHARES if (text := _same(prometheus, signals, bad, samples)) is not None}
    earlier = {
        scope: dict(_earlier(prometheus, target, matchers, samples[scope], (start, end)))
        for scope, matchers in scopes.items()
    }
    kept = {"samples": samples, "earlier": earlier, "unproven": doubt, "same": same}
    json.dump({"start": start, "end": end, "at": dt.datetime.now(dt.UTC).isoformat(), **kept}, keep)


def _same(
    prometheus: Prometheus, signals: Signals, bad: str, samples: Mapping[str, Mapping[str, Mapping[str, object]]]
) -> str | None:
    """What to say of a share that counts the same series twice; asked only where these samples may be the same."""
    counted, trials = (samples[EVERYTHING].get(name) for name in (signals.counted(bad)[0], SHARES[bad].trials))
    if not counted or not trials or counted.keys() != trials.keys():
        return None
    return same_share(prometheus, signals, bad)


def _samples(
    prometheus: Prometheus, target: Target, scope: str, span_s: float, at: float
) -> dict[str, dict[str, dict[float, float]]]:
    limit_s = target.limits.judgment_p95.bound
    return {
        name: {
            series.key: dict(series.within(limit_s) if name == WITHIN_LIMIT and series.histograms else series.points)
            for series in prometheus.history(selector, span_s, at)
        }
        for name, selector in _selectors(target, scope).items()
    }


def _earlier(
    prometheus: Prometheus,
    target: Target,
    scope: str,
    samples: Mapping[str, Mapping[str, Mapping[float, float]]],
    span: tuple[float, float],
) -> Iterator[tuple[str, dict[str, float]]]:
    signals = require(target.prometheus).signals
    selectors, scraped = _selectors(target, scope), first_scrapes(samples.values())
    trials = {signals.counted(bad)[0]: selectors.get(share.trials) for bad, share in SHARES.items()}
    for name, series in samples.items():
        if name == WITHIN_LIMIT and signals.duration_buckets.native:
            continue  # an instant query tells of all observations, not of those within the limit
        if found := earlier_values(prometheus, selectors[name], series, scraped, span, trials.get(name)):
            yield name, found


def _selectors(target: Target, scope: str) -> dict[str, str]:
    signals = require(target.prometheus).signals
    names = {signals.counted(name)[0] for name in COUNTERS if signals.absent(name) is None}
    selectors = {name: signals.of(name).selector(scope) for name in sorted(names)}
    if signals.absent("duration_buckets") is None:
        selectors[WITHIN_LIMIT] = signals.duration_buckets.bucket(target.limits.judgment_p95.bound, scope)
    return selectors
