"""One observation of a window: raw counter samples as Prometheus scraped them, and what they add up to.

Pure: an observation is rebuilt from its evidence file alone, so that any verdict can be worked out again later.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Points = dict[float, float]
"""Raw samples of one series: value by scrape time (Unix seconds)."""


@dataclass(frozen=True)
class Step:
    """One look at Prometheus: new samples by scope, signal and series, or the fault that prevented the look."""

    at: float
    fault: str | None = None
    samples: Mapping[str, Mapping[str, Mapping[str, Points]]] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()

    def as_json(self) -> str:
        """One line of the evidence file."""
        return json.dumps(
            {"at": self.at, "fault": self.fault, "alerts": self.alerts, "samples": self.samples},
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, line: str) -> Step:
        """Read one line of the evidence file."""
        raw: dict[str, Any] = json.loads(line)
        samples = {
            scope: {
                signal: {
                    series: {float(at): value for at, value in points.items()}
                    for series, points in found.items()
                }
                for signal, found in signals.items()
            }
            for scope, signals in raw["samples"].items()
        }
        return cls(raw["at"], raw["fault"], samples, tuple(raw["alerts"]))


@dataclass(frozen=True)
class Observation:
    """All steps of a window from `start` (Unix seconds) on; `step_s` apart; `scrape_s` is how often data can come."""

    start: float
    window_s: float
    step_s: float
    steps: tuple[Step, ...]

    @property
    def end(self) -> float:
        """When the window ends, Unix seconds."""
        return self.start + self.window_s

    @property
    def faults(self) -> tuple[str, ...]:
        """Why looks failed, each reason once."""
        return tuple(dict.fromkeys(step.fault for step in self.steps if step.fault))

    @property
    def alerts(self) -> tuple[str, ...]:
        """Alerts that fired at any step, each once."""
        return tuple(dict.fromkeys(alert for step in self.steps for alert in step.alerts))

    def series(self, scope: str, signal: str) -> dict[str, Points]:
        """All samples of a signal, by series."""
        merged: dict[str, Points] = {}
        for step in self.steps:
            for name, points in step.samples.get(scope, {}).get(signal, {}).items():
                merged.setdefault(name, {}).update(points)
        return merged

    def increase(self, scope: str, signal: str) -> float | None:
        """How much a counter grew in the window, summed over its series; None if it was never seen."""
        series = self.series(scope, signal)
        if not series:
            return None
        return math.fsum(increase(points, self.start, self.step_s) for points in series.values())

    def coverage(self, scope: str, signal: str) -> float:
        """Share of the window in which samples of `signal` came in.

        Counters are cumulative, so a gap between two samples loses no count; but nobody watched in it. Time between
        samples counts as observed up to twice the step.
        """
        moments = sorted({at for points in self.series(scope, signal).values() for at in points})
        inside = [self.start, *(at for at in moments if self.start < at < self.end), self.end]
        if len(inside) == 2:  # noqa: PLR2004 - the window's two ends alone: nothing came in
            return 0.0
        tolerated = 2 * self.step_s
        missing = math.fsum(
            max(0.0, later - earlier - tolerated) for earlier, later in zip(inside, inside[1:], strict=False)
        )
        return 1.0 - missing / self.window_s


def increase(points: Mapping[float, float], since: float, slack_s: float) -> float:
    """Growth of one counter after `since` (Unix seconds) from its raw samples.

    A fall is a restart: the counter began again at zero. A series whose first sample is later than `since` plus
    `slack_s` appeared within the window and counts from zero. Raises ValueError for NaN and infinite samples.
    """
    ordered = sorted(points.items())
    if any(not math.isfinite(value) for _, value in ordered):
        raise ValueError("a counter is NaN or infinite")
    before = [value for at, value in ordered if at <= since]
    after = [value for at, value in ordered if at > since]
    if before:
        previous = before[-1]
    elif after and ordered[0][0] <= since + slack_s:
        previous = after.pop(0)
    else:
        previous = 0.0
    grown = 0.0
    for value in after:
        grown += value - previous if value >= previous else value
        previous = value
    return grown


def read_observation(lines: Iterable[str]) -> Observation:
    """Rebuild an observation from its evidence file: one header line, then one line for each step."""
    header, *steps = [line for line in lines if line.strip()]
    facts = json.loads(header)
    return Observation(facts["start"], facts["window_s"], facts["step_s"], tuple(map(Step.from_json, steps)))
