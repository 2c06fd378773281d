"""Values of Prometheus' answers, and the faults that answers can have."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opsverify.probes.alerts import Alert
from opsverify.probes.native_histogram import NativeHistogram, read_histogram
from opsverify.probes.source_fault import FaultReason, SourceFault, Unanswered

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FaultReason", "SourceFault", "Unanswered"]

_LATEST_S: Final = 1e11
"""A Unix time beyond this (the year 5138) is in milliseconds."""
_NANOSECONDS: Final = re.compile(r"(\.\d{6})\d+")
_DURATION: Final = re.compile(r"([0-9.]+)(ms|s|m|h|d)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PARTIAL: Final = ("isPartial", "partial", "partialResponse")
_NO_HISTOGRAMS: Final[Mapping[float, NativeHistogram]] = MappingProxyType({})
_OF_THE_SERIES = ("__name__", "alertstate")


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


class Series(NamedTuple):
    """Raw samples of one series as they were scraped: (Unix seconds, value), oldest first."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]
    histograms: Mapping[float, NativeHistogram] = _NO_HISTOGRAMS

    @property
    def key(self) -> str:
        """Its labels as one text, the same in every answer."""
        if (known := getattr(self.labels, "key", None)) is not None:  # made once, where many answers tell of it
            return str(known)
        try:
            return ",".join(map("=".join, sorted(self.labels.items())))
        except TypeError:  # a source whose label values are no texts
            return ",".join(f"{name}={value}" for name, value in sorted(self.labels.items()))

    def within(self, bound: float) -> tuple[tuple[float, float], ...]:
        """Of a native histogram, how many observations were `bound` or less, by time.

        Raises SourceFault where `bound` is no boundary of its buckets: any count would be a guess.
        """
        return tuple((at, histogram.within(bound)) for at, histogram in sorted(self.histograms.items()))


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """One active scrape target; `health` is `up`, `down` or `unknown`.

    `last_at`: when it was scraped last (Unix seconds, None where that is not reported), every `every_s` seconds.
    """

    job: str
    instance: str
    health: str
    last_error: str
    labels: Mapping[str, str]
    last_at: float | None = None
    every_s: float = 0.0

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"{self.job} {self.instance}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `state` is `firing`, `pending`, `inactive`, or empty for recording rules.

    `last_at`: when it was evaluated last (Unix seconds, None where that is not reported), every `every_s` seconds.
    """

    name: str
    state: str
    health: str
    last_error: str
    labels: Mapping[str, str]
    last_at: float | None = None
    every_s: float = 0.0
    query: str = ""

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return self.name


def seconds(at: float) -> float:
    """A Unix time in seconds; some sources answer in milliseconds."""
    return at / 1000 if at > _LATEST_S else at


def completeness(body: Any) -> tuple[str, ...]:  # noqa: ANN401 - any JSON value
    """Why an answer may lack a part, empty for a whole one.

    Prometheus and Thanos say it in `warnings`, VictoriaMetrics by `isPartial` (in every version without a warning).
    Notes on the query itself (`infos`, or among the warnings of older servers) are no such reason.
    """
    if not isinstance(body, dict):
        return ()
    lines = [str(line) for line in body.get("warnings") or ()]
    lost = [line for line in lines if not line.startswith("PromQL info")]
    if any(body.get(key) not in (None, False) for key in _PARTIAL):
        lost.append("the server marks its answer as partial: a storage node is away")
    return tuple(lost)


def read_samples(data: Any) -> tuple[Sample, ...]:  # noqa: ANN401 - any JSON value
    """Read the samples of a query's `data`; KeyError, TypeError or ValueError where it is malformed."""
    if data["resultType"] == "scalar":
        at, value = data["result"]
        return (Sample(MappingProxyType({}), float(value), seconds(float(at))),)
    if data["resultType"] != "vector":
        raise ValueError(f"result type {data['resultType']}, expected vector or scalar")
    return tuple(
        Sample(_labels(entry["metric"]), float(entry["value"][1]), seconds(float(entry["value"][0])))
        if "value" in entry
        else Sample(_labels(entry["metric"]), float(entry["histogram"][1]["count"]), seconds(entry["histogram"][0]))
        for entry in data["result"]
    )


def read_series(data: Any) -> tuple[Series, ...]:  # noqa: ANN401 - any JSON value
    """Read the series of a range selector's `data`, points in order of time; raises as `read_samples`."""
    if data["resultType"] != "matrix":
        raise ValueError(f"result type {data['resultType']}, expected matrix")
    return tuple(map(_series, data["result"]))


def _series(entry: Mapping[str, Any]) -> Series:
    # A native histogram has `histograms` instead of `values`: its points are its counts.
    labels = MappingProxyType(entry["metric"])  # of an answer that nobody else holds: no copy
    if "histograms" not in entry:
        points = in_order([(float(at), float(value)) for at, value in entry["values"]])
        return Series(labels, points)
    buckets = {seconds(float(at)): read_histogram(raw) for at, raw in entry["histograms"]}
    counts = [(at, histogram.count) for at, histogram in buckets.items()]
    counts += [(float(at), float(value)) for at, value in entry.get("values", ())]
    return Series(labels, in_order(counts), buckets)


def in_order(found: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Samples of one series in seconds, each time once."""
    if found and found[-1][0] > _LATEST_S:
        found = [(seconds(at), value) for at, value in found]
    latest = -math.inf
    for at, _ in found:
        if not at > latest:
            return tuple(sorted(dict(found).items()))
        latest = at
    return tuple(found)


def read_targets(data: Any) -> tuple[ScrapeTarget, ...]:  # noqa: ANN401 - any JSON value
    """Read the targets of `/api/v1/targets`; raises as `read_samples`."""
    return tuple(
        ScrapeTarget(
            entry["labels"].get("job", ""),
            entry["labels"].get("instance", ""),
            entry["health"],
            entry.get("lastError", ""),
            _labels(entry["labels"]),
            _moment(entry.get("lastScrape")),
            _interval_s(entry.get("scrapeInterval")),
        )
        for entry in data["activeTargets"]
    )


def read_rules(data: Any) -> tuple[Rule, ...]:  # noqa: ANN401 - any JSON value
    """Read the rules of `/api/v1/rules`; raises as `read_samples`."""
    return tuple(
        _rule(entry, float(group.get("interval") or 0.0)) for group in data["groups"] for entry in group["rules"]
    )


def _rule(entry: Any, every_s: float) -> Rule:  # noqa: ANN401 - any JSON value
    return Rule(
        entry["name"], entry.get("state", ""), entry["health"], entry.get("lastError", ""),
        _labels(entry.get("labels", {})), _moment(entry.get("lastEvaluation")), every_s, str(entry.get("query", "")),
    )  # fmt: skip


def identity(sample: Sample) -> frozenset[tuple[str, str]]:
    """Return what an alert's series in ALERTS and ALERTS_FOR_STATE have in common."""
    return frozenset(item for item in sample.labels.items() if item[0] not in _OF_THE_SERIES)


def read_alert(sample: Sample, since: float | None) -> Alert:
    """Read an alert from its series in ALERTS; `since` is the Unix time it became active, if known."""
    labels = dict(identity(sample))
    started = dt.datetime.fromtimestamp(since, dt.UTC) if since is not None else None
    return Alert(labels.get("alertname", ""), _labels(labels), sample.labels.get("alertstate", ""), started)


def _moment(text: str | None) -> float | None:
    """Unix seconds of an RFC 3339 time; None for one that is missing, or the zero time of what never happened."""
    if not text or text.startswith("0001-"):
        return None
    return dt.datetime.fromisoformat(_NANOSECONDS.sub(r"\1", text)).timestamp()


def _interval_s(text: str | None) -> float:
    """Seconds of a duration such as `15s` or `1m30s`; 0 where it is not reported."""
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text or ""))


def _labels(found: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(found))


def read_types(data: Mapping[str, list[Mapping[str, str]]]) -> dict[str, str]:
    """The type of each metric in an answer of `/api/v1/metadata`; `unknown` where its sources disagree."""
    found = {name: {entry["type"] for entry in entries} for name, entries in data.items()}
    return {name: next(iter(types)) if len(types) == 1 else "unknown" for name, types in found.items()}
