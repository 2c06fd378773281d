"""Values of Prometheus' answers, and the faults that answers can have."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.alerts import Alert

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_THE_SERIES = ("__name__", "alertstate")


class FaultReason(StrEnum):
    """Why a source of metrics could not be measured."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    HTTP_ERROR = "http_error"
    BAD_QUERY = "bad_query"
    MALFORMED = "malformed"
    PARTIAL_RESPONSE = "partial_response"
    EMPTY = "empty"
    AMBIGUOUS = "ambiguous"
    NOT_A_NUMBER = "not_a_number"


class SourceFault(Inconclusive):
    """A source of metrics could not be measured, for a named `reason`."""

    def __init__(self, reason: FaultReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unanswered(SourceFault, Unreachable):
    """A source of metrics did not answer at all (`unreachable`, `timeout`)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of one series; NaN and infinities stay what they are; `at` is Unix time in seconds."""

    labels: Mapping[str, str]
    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector, empty if nothing matched; warnings mean that parts of it may be missing."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...]
    queried_at: float
    query: str


@dataclass(frozen=True, slots=True)
class Series:
    """Raw samples of one series as they were scraped: (Unix seconds, value), oldest first."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """One active scrape target; `health` is `up`, `down` or `unknown`."""

    job: str
    instance: str
    health: str
    last_error: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `state` is `firing`, `pending`, `inactive`, or empty for recording rules."""

    name: str
    state: str
    health: str
    last_error: str
    labels: Mapping[str, str]


def read_samples(data: Any) -> tuple[Sample, ...]:  # noqa: ANN401 - any JSON value
    """Read the samples of a query's `data`; KeyError, TypeError or ValueError where it is malformed."""
    if data["resultType"] == "scalar":
        at, value = data["result"]
        return (Sample(MappingProxyType({}), float(value), float(at)),)
    if data["resultType"] != "vector":
        raise ValueError(f"result type {data['resultType']}, expected vector or scalar")
    return tuple(
        Sample(_labels(entry["metric"]), float(entry["value"][1]), float(entry["value"][0])) for entry in data["result"]
    )


def read_series(data: Any) -> tuple[Series, ...]:  # noqa: ANN401 - any JSON value
    """Read the series of a range selector's `data`; raises as `read_samples`."""
    if data["resultType"] != "matrix":
        raise ValueError(f"result type {data['resultType']}, expected matrix")
    return tuple(
        Series(_labels(entry["metric"]), tuple((float(at), float(value)) for at, value in entry["values"]))
        for entry in data["result"]
    )


def read_targets(data: Any) -> tuple[ScrapeTarget, ...]:  # noqa: ANN401 - any JSON value
    """Read the targets of `/api/v1/targets`; raises as `read_samples`."""
    return tuple(
        ScrapeTarget(
            entry["labels"].get("job", ""),
            entry["labels"].get("instance", ""),
            entry["health"],
            entry.get("lastError", ""),
            _labels(entry["labels"]),
        )
        for entry in data["activeTargets"]
    )


def read_rules(data: Any) -> tuple[Rule, ...]:  # noqa: ANN401 - any JSON value
    """Read the rules of `/api/v1/rules`; raises as `read_samples`."""
    return tuple(
        Rule(
            entry["name"],
            entry.get("state", ""),
            entry["health"],
            entry.get("lastError", ""),
            _labels(entry.get("labels", {})),
        )
        for group in data["groups"]
        for entry in group["rules"]
    )


def identity(sample: Sample) -> frozenset[tuple[str, str]]:
    """Return what an alert's series in ALERTS and ALERTS_FOR_STATE have in common."""
    return frozenset(item for item in sample.labels.items() if item[0] not in _OF_THE_SERIES)


def read_alert(sample: Sample, since: float | None) -> Alert:
    """Read an alert from its series in ALERTS; `since` is the Unix time it became active, if known."""
    labels = dict(identity(sample))
    started = dt.datetime.fromtimestamp(since, dt.UTC) if since is not None else None
    return Alert(labels.get("alertname", ""), _labels(labels), sample.labels.get("alertstate", ""), started)


def _labels(found: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({str(name): str(value) for name, value in found.items()})
