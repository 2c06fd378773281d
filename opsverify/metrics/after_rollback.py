"""State after a rollback: who serves, and how well, in one short observation that begins once the steps are done."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from opsverify.core.interval import Share
from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.metrics.counters import Growth, InstanceTimes, first_scrapes, increments
from opsverify.probes.eventually import eventually
from opsverify.units import duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from opsverify.config.model import Target
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
        return cls(raw["start"], raw["end"], samples, target)

    def outside_baseline(self) -> Share:
        """The share of all requests that the baseline did not serve.

        Computed from what the baseline did *not* serve: a misspelt canary is not taken for none.
        """
        total = self._grown(EVERYTHING, "requests")
        baseline = self._grown(BASELINE, "requests")
        return self._share(total - baseline, total, say("requests not served by the baseline"))

    def errors(self) -> Share:
        """The share of the baseline's requests that failed."""
        signals = self._signals
        if not self.samples[BASELINE]["request_errors"] and signals.request_errors.metric == signals.requests.metric:
            # A status code is exported from its first use on: none yet means that none failed.
            return self._share(0.0, self._grown(BASELINE, "requests"), say("requests failed"))
        return self._share(
            self._grown(BASELINE, "request_errors"), self._grown(BASELINE, "requests"), say("requests failed")
        )

    def slow(self) -> Share:
        """The share of the baseline's requests slower than the limit on p95."""
        total = self._grown(BASELINE, "durations")
        limit = self.target.limits.judgment_p95
        slow = total - self._grown(BASELINE, WITHIN_LIMIT)
        return self._share(slow, total, say("requests slower than {limit}", limit=duration(limit.bound)))

    def hits(self) -> Share:
        """The share of cache lookups that hit."""
        lookups = self._grown(EVERYTHING, "cache_lookups")
        return self._share(lookups - self._grown(EVERYTHING, "cache_misses"), lookups, say("lookups hit the cache"))

    @property
    def _signals(self) -> Any:  # noqa: ANN401 - Signals, of a target that was found to have Prometheus
        return self.target.prometheus.signals if self.target.prometheus else None

    def _grown(self, scope: str, signal: str) -> float:
        series = self.samples[scope][signal]
        if not series:
            raise Inconclusive(
                say(
                    "{signal} of {scope}: no samples since the rollback; check that it is scraped, and "
                    "prometheus.signals",
                    signal=signal,
                    scope=scope,
                )
            )
        known = InstanceTimes(first_scrapes(self.samples[scope].values()))
        growth: Growth = increments(series, (self.start, self.end), known)
        if growth.rejected:
            bad = growth.rejected[0]
            raise Inconclusive(
                say(
                    "{signal} of {scope}: {series} is {reason}; check the service's /metrics",
                    signal=signal,
                    scope=scope,
                    series=bad.series,
                    reason=bad.reason.text,
                )
            )
        return growth.total

    def _share(self, part: float, total: float, what: str) -> Share:
        seconds = duration(round(self.end - self.start))
        share = max(0.0, part) / total if total else float("nan")
        return Share(
            share, round(total), say("of {total:,.0f} {what} in {seconds}", total=total, what=what, seconds=seconds)
        )


def observe(prometheus: Prometheus, target: Target, show: Callable[[str], None], keep: TextIO) -> None:
    """Observe for `actions.look` of the target, then keep every raw sample of that time.

    Raises Inconclusive where Prometheus does not answer, or has no sample of that time.
    """
    span_s = parse_duration(target.actions.look)
    start = time.time()

    def left() -> float:
        remaining = start + span_s - time.time()
        show(f"observing the rolled back platform, {duration(round(max(0.0, remaining)))} left")
        return remaining

    eventually(
        left,
        lambda seconds: seconds <= 0,
        deadline_s=span_s + SHOW_EVERY_S,
        every_s=SHOW_EVERY_S,
        what="the observation to end",
    )
    end = time.time()
    scopes = {EVERYTHING: "", BASELINE: target.canary.baseline if target.canary else ""}
    samples = {scope: _samples(prometheus, target, matchers, end - start, end) for scope, matchers in scopes.items()}
    json.dump({"start": start, "end": end, "at": dt.datetime.now(dt.UTC).isoformat(), "samples": samples}, keep)


def _samples(
    prometheus: Prometheus, target: Target, scope: str, span_s: float, at: float
) -> dict[str, dict[str, dict[float, float]]]:
    signals = target.prometheus.signals if target.prometheus else None
    selectors = {name: getattr(signals, name).selector(scope) for name in COUNTERS}
    bucket = f'le="{target.limits.judgment_p95.bound:g}"'
    selectors[WITHIN_LIMIT] = getattr(signals, "duration_buckets").selector(scope, bucket)  # noqa: B009 - as above
    return {
        name: {
            ",".join(f"{key}={value}" for key, value in sorted(series.labels.items())): dict(series.points)
            for series in prometheus.history(selector, span_s, at)
        }
        for name, selector in selectors.items()
    }
