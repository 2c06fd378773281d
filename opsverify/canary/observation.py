"""Observation of a window as a file: a header, then one line of raw samples for each step."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from opsverify.canary.sample_columns import Points, SampleColumns
from opsverify.canary.window_setup import Setup
from opsverify.errors import EvidenceError
from opsverify.language.message import packed, say, unpair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")
NAME = "observation.jsonl.gz"
_POINTS: Final = msgspec.json.Encoder()

Samples = dict[str, dict[str, dict[str, Points]]]
"""Points by scope, signal and series key."""


@dataclass(frozen=True)
class ObservedStep:
    """One query of Prometheus (`at`: Unix seconds by its clock): new samples and alerts, or why there are none.

    `alerts_since`: when alerts became active, where that is known (Unix seconds). `earlier`: what series that are new
    in this step had counted before the window, where that is known.
    """

    at: float
    fault: str | None = None
    samples: Mapping[str, Mapping[str, Mapping[str, Points]]] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()
    alerts_since: Mapping[str, float] = field(default_factory=dict)
    earlier: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    def dumps(self) -> str:
        """One line of the evidence file."""
        return "".join(self.parts())

    def parts(self, shown: Callable[[str], str] = str) -> Iterator[str]:
        """Parts of that line, which may have some megabytes; every text that came from outside as `shown` gives it."""
        fault = self.fault if self.fault is None or shown is str else shown(self.fault)
        about: dict[str, Any] = {
            "at": self.at,
            "fault": None,
            **(packed("fault", fault) if fault is not None else {}),
            "alerts": [shown(name) for name in self.alerts],
            "alerts_since": {shown(name): since for name, since in self.alerts_since.items()},
        }
        if self.earlier:
            about["earlier"] = {
                scope: {
                    signal: {shown(key): value for key, value in series.items()} for signal, series in signals.items()
                }
                for scope, signals in self.earlier.items()
            }
        yield _json(about)[:-1] + ',"samples":'
        yield from _samples_json(self.samples, shown)
        yield "}"

    @classmethod
    def loads(cls, line: str) -> ObservedStep:
        """Read one line of the evidence file. Raises EvidenceError where it is not one."""
        try:
            raw: dict[str, Any] = json.loads(line)
            fault = None if raw["fault"] is None else unpair(raw, "fault")
            samples, since = _read_points(raw["samples"]), raw.get("alerts_since", {})
            return cls(float(raw["at"]), fault, samples, tuple(raw["alerts"]), since, raw.get("earlier", {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EvidenceError(say("not a step of an observation: {error}", error=error)) from error


def read_observation(path: Path) -> tuple[Setup, tuple[ObservedStep, ...]]:
    """Read an evidence file. Raises EvidenceError for another file, or a damaged one."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            header, *steps = file.read().splitlines()
        return Setup.loads(header), tuple(map(ObservedStep.loads, steps))
    except FileNotFoundError as error:
        raise EvidenceError(
            say("{path}: no observation; name a run of preprod-canary or prod-canary", path=path)
        ) from error
    except (OSError, EOFError, ValueError, EvidenceError) as error:
        raise EvidenceError(
            say("{path}: cannot be read as an observation ({error})", path=path, error=error)
        ) from error


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _samples_json(
    samples: Mapping[str, Mapping[str, Mapping[str, Points]]], shown: Callable[[str], str]
) -> Iterator[str]:
    """One signal after the other: all of them at once would double a look's memory."""
    yield from _object(
        samples,
        lambda signals: _object(
            signals, lambda series: [_points_json({shown(key): points for key, points in _for_json(series)})]
        ),
    )


def _object(members: Mapping[str, T], texts: Callable[[T], Iterable[str]]) -> Iterator[str]:
    yield "{"
    for number, (name, value) in enumerate(members.items()):
        yield f"{',' if number else ''}{_json(name)}:"
        yield from texts(value)
    yield "}"


def _points_json(series: Mapping[str, Mapping[float, float | str]]) -> str:
    """As `_json`, in a fifth of the time; what is no ASCII is escaped, for it may end a line."""
    try:
        return _POINTS.encode(series).decode("ascii")
    except UnicodeError:
        return _json(series)


def _for_json(series: Mapping[str, Points]) -> Iterable[tuple[str, Mapping[float, float | str]]]:
    if isinstance(series, SampleColumns) and series.all_finite():
        return series.items()
    # JSON has no NaN.
    return (
        (key, {at: value if math.isfinite(value) else str(value) for at, value in points.items()})
        for key, points in series.items()
    )


def _read_points(samples: Any) -> Samples:  # noqa: ANN401 - any JSON value
    return {
        scope: {
            signal: {key: {float(at): float(value) for at, value in points.items()} for key, points in series.items()}
            for signal, series in signals.items()
        }
        for scope, signals in samples.items()
    }
