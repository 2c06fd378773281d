"""Metrics of a draft: which of a Prometheus' counters are likely the platform's signals, by name, type and labels.

A guess is a proposal: it stands in a draft that a person corrects, and `opsverify doctor` asks for every series of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.metrics.status_values import KINDS, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opsverify.probes.prometheus import Prometheus

Labels = dict[str, tuple[str, ...]]
"""Values of each label of one metric, in order."""

_REQUESTS: Final = re.compile(r"(requests?|handled|rq_xx)(_total|_count)?$")
_DURATIONS: Final = re.compile(r"(duration|latency|request|response).*(seconds|_ms)|seconds.*(duration|latency)")
_STATUS: Final = (
    "code", "status", "status_code", "http_status_code", "http_response_status_code", "http_status", "response_code",
    "grpc_code", "envoy_response_code_class", "outcome",
)  # fmt: skip
_FAILED: Final = ("5xx", "error", "failed", "failure", "fail")
_OF_OTHERS: Final = re.compile(
    r"^(prometheus|alertmanager|scrape|up$|go_|process_|python_|jvm_|nodejs_(gc|eventloop)|node_|kube|container|etcd|apiserver|promhttp|net_)"
)
"""Metrics of Prometheus itself, of language runtimes, hosts and Kubernetes: none of a platform's own requests."""
_SPLITS: Final = ("track", "slot", "role", "variant", "color", "colour", "release", "deployment", "version")
_CANARIES: Final = ("canary", "green", "preview", "candidate", "new")
_VALUES: Final = 12
_PAIR: Final = 2


@dataclass(frozen=True)
class SeenMetric:
    """One metric: its name, type (`counter`, `histogram`, ...) and labels; a histogram by the name without suffix."""

    name: str
    kind: str
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class SeenMetrics:
    """Jobs and alerting rules of a Prometheus, the metrics that may be the platform's, and how many there are."""

    jobs: tuple[str, ...]
    rules: tuple[str, ...]
    candidates: tuple[SeenMetric, ...]
    total: int


@dataclass(frozen=True)
class Split:
    """Label matchers that tell canary and baseline apart."""

    canary: str
    baseline: str


@dataclass(frozen=True)
class GuessedSignals:
    """Signals by name, each with `metric` and `match`; what was guessed from, and what tells a canary apart."""

    signals: Mapping[str, tuple[str, str]]
    notes: tuple[str, ...]
    split: Split | None


def read_metrics(prometheus: Prometheus) -> SeenMetrics:
    """Return what `prometheus` scrapes now; of each candidate the series of this moment.

    Raises SourceFault (Unanswered without an answer).
    """
    types = prometheus.metric_types()
    wanted = [name for name in sorted(types) if not _OF_OTHERS.match(name) and _likely(name, types[name])]
    candidates = []
    for name in wanted:
        series = name if types[name] != "histogram" else f"{name}_count"
        found = prometheus.instant(series).samples
        if not found and types[name] == "counter" and not name.endswith("_total"):
            # OpenMetrics: a counter's family has no suffix, its series have.
            series = f"{name}_total"
            found = prometheus.instant(series).samples
        if found:
            shown = name if types[name] == "histogram" else series
            candidates.append(SeenMetric(shown, types[name], _labels(sample.labels for sample in found)))
    jobs = sorted({target.job for target in prometheus.targets()})
    rules = sorted({rule.name for rule in prometheus.rules() if rule.state})
    return SeenMetrics(tuple(jobs), tuple(rules), tuple(candidates), len(types))


def _likely(name: str, kind: str) -> bool:
    return bool((kind == "counter" and _REQUESTS.search(name)) or (kind == "histogram" and _DURATIONS.search(name)))


def _labels(series: Iterable[Mapping[str, str]]) -> Labels:
    values: dict[str, set[str]] = {}
    for labels in series:
        for name, value in labels.items():
            if name != "__name__":
                values.setdefault(name, set()).add(value)
    return {name: tuple(sorted(found)) for name, found in sorted(values.items())}


def guess(seen: SeenMetrics) -> GuessedSignals:
    """Return the signals of requests and their durations, where names and labels give them."""
    counters = [metric for metric in seen.candidates if metric.kind == "counter"]
    histograms = [metric for metric in seen.candidates if metric.kind == "histogram"]
    # OpenTelemetry and many a Node service count their requests in the histogram of durations alone.
    counted = [metric for metric in histograms if _status_of(metric.labels) is not None]
    signals: dict[str, tuple[str, str]] = {}
    notes: list[str] = []
    requests = max([*counters, *counted], key=_as_requests, default=None)
    split = None
    if requests is not None:
        name = f"{requests.name}_count" if requests.kind == "histogram" else requests.name
        signals["requests"] = (name, "")
        bad, note = _bad_ones(requests.labels)
        if bad:
            signals["request_errors"] = (name, bad)
        notes.append(f"{name}: {note}")
        split = _split(requests.labels)
    durations = max(histograms, key=lambda metric: _beside(metric, requests), default=None)
    if durations is not None:
        signals["durations"] = (f"{durations.name}_count", "")
        signals["duration_buckets"] = (f"{durations.name}_bucket", "")
    return GuessedSignals(signals, tuple(notes), split)


def _as_requests(metric: SeenMetric) -> tuple[bool, bool, bool, bool, int]:
    """Order by how likely one counts the requests served: a status, no client, a counter, `http`, the fewest words."""
    words = metric.name.split("_")
    served = "client" not in words
    return _status_of(metric.labels) is not None, served, metric.kind == "counter", "http" in metric.name, -len(words)


def _beside(metric: SeenMetric, requests: SeenMetric | None) -> tuple[int, int]:
    """Order histograms by how much of their name and labels they share with the counter of requests."""
    if requests is None:
        return (0, -len(metric.name))
    words = [set(name.split("_")) for name in (metric.name, requests.name)]
    return len(words[0] & words[1]) + len(metric.labels.keys() & requests.labels.keys()), -len(metric.name)


def _status_of(labels: Labels) -> str | None:
    return next((name for name in _STATUS if name in labels), None)


def _bad_ones(labels: Labels) -> tuple[str, str]:
    """The matcher of failed requests, and what was seen of their label."""
    status = _status_of(labels)
    if status is None:
        return "", f"no label of a status; labels: {', '.join(labels) or 'none'}"
    values = labels[status]
    seen = f"{status} is {', '.join(values[:_VALUES])}" + (", ..." if len(values) > _VALUES else "")
    kind = kind_of(status, values)
    if kind is not None and kind is KINDS[0]:
        return f"{status}{kind.matcher}", seen
    words = [value for value in values if value.lower() in _FAILED]
    if words:
        return _matcher(status, words[0]), seen
    if kind is not None:
        return f"{status}{kind.matcher}", f"{seen}; no failed one yet"
    return "", f"{seen}; none of them is a failed request"


def _split(labels: Labels) -> Split | None:
    for name in _SPLITS:
        values: Sequence[str] = labels.get(name, ())
        if len(values) == _PAIR:
            canary = next((value for value in values if value.lower() in _CANARIES), values[-1])
            (baseline,) = (value for value in values if value != canary)
            return Split(_matcher(name, canary), _matcher(name, baseline))
    return None


def _matcher(label: str, value: str) -> str:
    return f"{label}={json.dumps(value, ensure_ascii=False)}"  # PromQL's strings take Go's escapes, JSON's among them
