"""Observe canary and baseline over a window: one look a step, every look kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from opsverify.errors import Inconclusive
from opsverify.gate.observation import Observation, Step
from opsverify.limits import duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.probes.prometheus import Prometheus
    from opsverify.target import Canary, Signals

COUNTERS = (
    "requests",
    "request_errors",
    "durations",
    "llm_parses",
    "llm_parse_failures",
    "llm_cost",
    "workflows",
    "workflow_failures",
    "mcp_calls",
    "mcp_timeouts",
    "cache_lookups",
    "cache_misses",
)
WITHIN_LIMIT = "durations_within_limit"
LOOK_BACK_S = 30.0


@dataclass(frozen=True)
class Clock:
    """Time as the observer sees it; tests put their own in."""

    now: Callable[[], float]
    wait: Callable[[float], object]


@dataclass(frozen=True)
class Observer:
    """What is asked at every step, and of whom."""

    prometheus: Prometheus
    canary: Canary
    signals: Signals
    latency_limit_s: float
    clock: Clock
    say: Callable[[str], None]

    def observe(self, window_s: float, keep: TextIO) -> Observation:
        """Look once a step until the window is over; write header and steps to `keep` as they come.

        A look that fails costs nothing by itself: the next one asks for all samples since the last good one.
        """
        step_s = min(parse_duration(self.canary.step), window_s / 4)
        start = self.clock.now()
        keep.write(json.dumps({"start": start, "window_s": window_s, "step_s": step_s}) + "\n")
        steps: list[Step] = []
        seen_until = start - LOOK_BACK_S
        for number in range(round(window_s / step_s) + 1):
            self.clock.wait(start + number * step_s - self.clock.now())
            step = self._look(seen_until)
            if step.fault is None:
                seen_until = step.at
            steps.append(step)
            keep.write(step.as_json() + "\n")
            keep.flush()
            self._tell(step, start, window_s)
        return Observation(start, window_s, step_s, tuple(steps))

    def _look(self, since: float) -> Step:
        at = self.clock.now()
        span_s = at - since + 1.0
        try:
            samples = {
                scope: {
                    name: self._points(selector, span_s, at)
                    for name, selector in self._selectors(matchers).items()
                }
                for scope, matchers in (("canary", self.canary.canary), ("baseline", self.canary.baseline))
            }
            alerts = tuple(alert.name for alert in self.prometheus.firing_alerts(self.canary.alerts))
        except Inconclusive as error:
            return Step(at, fault=str(error))
        return Step(at, None, samples, alerts)

    def _points(self, selector: str, span_s: float, at: float) -> Mapping[str, dict[float, float]]:
        history = self.prometheus.history(selector, span_s, at)
        return {
            ",".join(f"{name}={value}" for name, value in sorted(series.labels.items())): dict(series.points)
            for series in history
        }

    def _selectors(self, scope: str) -> dict[str, str]:
        selectors = {name: getattr(self.signals, name).selector(scope) for name in COUNTERS}
        selectors[WITHIN_LIMIT] = self.signals.duration_buckets.selector(
            scope, f'le="{self.latency_limit_s:g}"'
        )
        return selectors

    def _tell(self, step: Step, start: float, window_s: float) -> None:
        left = max(0.0, start + window_s - step.at)
        state = (
            f"not answered: {step.fault}"
            if step.fault
            else f"alerts firing: {', '.join(step.alerts) or 'none'}"
        )
        self.say(f"observing, {duration(round(left))} left; {state}")
