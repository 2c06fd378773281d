"""Observation of a window as a file: a header, then one line of raw samples for each step."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsverify.canary.window_setup import Setup
from opsverify.errors import EvidenceError
from opsverify.language.message import packed, say, unpair

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "observation.jsonl.gz"

Points = dict[float, float]
"""Raw samples of one series: value by scrape time (Unix seconds)."""
Samples = dict[str, dict[str, dict[str, Points]]]
"""Points by scope, signal and series key."""


@dataclass(frozen=True)
class ObservedStep:
    """One query of Prometheus (`at`: Unix seconds by its clock): new samples and alerts, or why there are none.

    `alerts_since`: when alerts became active, where that is known (Unix seconds).
    """

    at: float
    fault: str | None = None
    samples: Mapping[str, Mapping[str, Mapping[str, Points]]] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()
    alerts_since: Mapping[str, float] = field(default_factory=dict)

    def dumps(self) -> str:
        """One line of the evidence file."""
        return json.dumps(
            {
                "at": self.at,
                "fault": None,
                **(packed("fault", self.fault) if self.fault is not None else {}),
                "alerts": self.alerts,
                "alerts_since": self.alerts_since,
                "samples": {
                    scope: {
                        signal: {key: _for_json(points) for key, points in series.items()}
                        for signal, series in signals.items()
                    }
                    for scope, signals in self.samples.items()
                },
            },
            separators=(",", ":"),
            allow_nan=False,
        )

    @classmethod
    def loads(cls, line: str) -> ObservedStep:
        """Read one line of the evidence file. Raises EvidenceError where it is not one."""
        try:
            raw: dict[str, Any] = json.loads(line)
            fault = None if raw["fault"] is None else unpair(raw, "fault")
            samples, since = _read_points(raw["samples"]), raw.get("alerts_since", {})
            return cls(float(raw["at"]), fault, samples, tuple(raw["alerts"]), since)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EvidenceError(say("not a step of an observation: {error}", error=error)) from error


def read_observation(path: Path) -> tuple[Setup, tuple[ObservedStep, ...]]:
    """Read an evidence file. Raises EvidenceError for another file, or a damaged one."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            header, *steps = file.read().splitlines()
        return Setup.loads(header), tuple(map(ObservedStep.loads, steps))
    except (OSError, EOFError, ValueError, EvidenceError) as error:
        raise EvidenceError(
            say("{path}: cannot be read as an observation ({error})", path=path, error=error)
        ) from error


def _for_json(points: Points) -> Mapping[float, float | str]:
    if all(map(math.isfinite, points.values())):
        return points  # as it is: a copy of every series would double a look's memory
    return {at: value if math.isfinite(value) else str(value) for at, value in points.items()}  # JSON has no NaN


def _read_points(samples: Any) -> Samples:  # noqa: ANN401 - any JSON value
    return {
        scope: {
            signal: {key: {float(at): float(value) for at, value in points.items()} for key, points in series.items()}
            for signal, series in signals.items()
        }
        for scope, signals in samples.items()
    }
