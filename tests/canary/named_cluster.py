"""A simulated cluster as a Prometheus that evaluates real selectors over HTTP, under the platform's metric names."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from opsverify.canary.label_values import with_known_values
from opsverify.canary.observer import Observer, with_meanings
from opsverify.canary.window_policy import setup_of
from opsverify.canary.window_setup import PROCESS_START, UP, WITHIN_LIMIT
from opsverify.config.matchers import selects
from opsverify.config.model import Canary, Owners, PrometheusConfig, Service, Target
from opsverify.probes.prometheus import Prometheus
from tests.support.http_double import ANSWER_WITHIN_S, answering

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opsverify import Criterion
    from opsverify.canary.watch import GateWatch
    from tests.canary.cluster import Cluster

METRICS = {
    "requests": "judgment_requests_total",
    "durations": "judgment_duration_seconds_count",
    WITHIN_LIMIT: "judgment_duration_seconds_bucket",
    "mcp_calls": "mcp_calls_total",
    PROCESS_START: "process_start_time_seconds",
    UP: "up",
}
_SELECTOR = r"[a-zA-Z_:][\w:]*\{[^{}]*\}"
_RANGED = re.compile(rf"({_SELECTOR})\[(\d+)ms\]")
_LATEST = re.compile(rf"last_over_time\(({_SELECTOR})\[(\d+)([mhd])\]\)")
_COUNT = re.compile(r"count(?: by \((?P<by>\w+)\) | )?\((?P<of>.*)\)")
_BOTH = re.compile(rf"({_SELECTOR}) and ({_SELECTOR})")
_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0}

Point = tuple[float, float]


@dataclass
class NamedCluster:
    """The cluster's series under real names, and how its Prometheus answers.

    `partial`: every answer is marked as VictoriaMetrics does with a storage node away, and lacks the series that these
    matchers select. `before_answer`: called in the thread of every request.
    """

    cluster: Cluster
    partial: str | None = None
    queries: list[str] = field(default_factory=list)
    before_answer: Any = None

    def __post_init__(self) -> None:
        self.series: dict[tuple[tuple[str, str], ...], list[tuple[float, float, float]]] = {}
        for selector, found in self.cluster.series.items():
            scope, signal = selector.split(":")
            if signal in METRICS:
                for labels, samples in found.items():
                    full = dict(labels) | {"__name__": METRICS[signal], "track": _track(scope)}
                    self.series[tuple(sorted(full.items()))] = samples

    def body(self, query: str, at: float) -> dict[str, Any]:
        """The answer to a query at a time."""
        found: dict[str, Any] = {"status": "success", "data": self._data(query, at)}
        return found | ({"isPartial": True} if self.partial is not None else {})

    def _data(self, query: str, at: float) -> dict[str, Any]:
        if query == "time()":
            return {"resultType": "scalar", "result": [at, str(at)]}
        if query.startswith("ALERTS"):
            return {"resultType": "vector", "result": []}
        if ranged := _RANGED.fullmatch(query):
            result: list[dict[str, object]] = [
                {"metric": labels, "values": [[moment, str(value)] for moment, value in points]}
                for labels, points in self._select(ranged[1], int(ranged[2]) / 1000, at)
            ]
            return {"resultType": "matrix", "result": result}
        if both := _BOTH.fullmatch(query):
            one, other = (self._data(selector, at)["result"] for selector in both.groups())
            return {"resultType": "vector", "result": [entry for entry in one if entry in other]}
        counted = _COUNT.fullmatch(query)
        inner = counted["of"] if counted else f"last_over_time({query}[5m])"
        latest = [match.groups() for match in _LATEST.finditer(inner)]
        assert latest, query
        # As in PromQL, `or` leaves out what the left side has with the same labels but for the name.
        vector: dict[tuple[tuple[str, str], ...], tuple[dict[str, str], float]] = {}
        for selector, number, unit in latest:
            for labels, points in self._select(selector, int(number) * _SECONDS[unit], at):
                nameless = tuple(sorted((name, value) for name, value in labels.items() if name != "__name__"))
                vector.setdefault(nameless, (labels, points[-1][1]))
        if counted is None:
            entries = [(labels, value) for labels, value in vector.values()]
        else:
            by = counted["by"]
            groups = Counter(labels.get(by, "") if by else "" for labels, _ in vector.values())
            entries = [({by: group} if by and group else {}, float(number)) for group, number in groups.items()]
        result = [{"metric": labels, "value": [at, str(value)]} for labels, value in entries]
        return {"resultType": "vector", "result": result}

    def _select(self, selector: str, span_s: float, at: float) -> Iterator[tuple[dict[str, str], tuple[Point, ...]]]:
        name, _, matchers = selector.rstrip("}").partition("{")
        for pairs, samples in self.series.items():
            labels = dict(pairs)
            lost = self.partial is not None and selects(self.partial, labels)
            if labels["__name__"] == name and selects(matchers, labels) and not lost:
                points = tuple((t, value) for stored, t, value in samples if at - span_s < t <= at and stored <= at)
                if points:
                    yield labels, points


@contextmanager
def serving(named: NamedCluster) -> Iterator[str]:
    """Serve it over HTTP; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            query, at = asked["query"][0], float(asked.get("time", [str(named.cluster.now)])[0])
            named.queries.append(query)
            if named.before_answer is not None:
                named.before_answer(query)
            raw = json.dumps(named.body(query, at)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with answering(Handler) as url:
        yield url


def target_at(url: str, signals: Mapping[str, object], **canary: object) -> Target:
    """A target whose Prometheus is at `url` and names these signals."""
    return Target(
        name="t",
        environment="staging",
        owners=Owners(default="me"),
        services={"a": Service(url="http://127.0.0.1:9")},
        prometheus=PrometheusConfig.model_validate({"url": url, "timeout_s": ANSWER_WITHIN_S, "signals": signals}),
        canary=Canary.model_validate(canary),
    )


def watch(named: NamedCluster, criteria: tuple[Criterion, ...], signals: Mapping[str, object]) -> GateWatch:
    """Watch a whole window as a run does: meanings first, then every step, all over HTTP."""
    policy = named.cluster.policy
    with serving(named) as url:
        target = target_at(url, signals)
        assert target.prometheus is not None
        with Prometheus(target.prometheus) as prometheus:
            limit_s = target.limits.judgment_p95.bound
            setup = setup_of(target, policy.longest_s, criteria)
            setup = with_meanings(prometheus, target.prometheus.signals, setup, limit_s)
            setup = with_known_values(prometheus, setup)
            observer = Observer(
                prometheus, named.cluster.clock, lambda _: None, lambda _: None, limit_s, ANSWER_WITHIN_S
            )
            return observer.observe(setup)


def _track(scope: str) -> str:
    return {"canary": "canary", "baseline": "stable"}[scope]
