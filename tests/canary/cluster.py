"""A simulated cluster: pods, processes, labels, scrapes, queries and failures, and the truth about them.

`Cluster` serves what Prometheus would have scraped of it, in this process (`Source`, for many windows) or over HTTP
(`serving`); the real observer watches it either way. All times are seconds since the window's start.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from opsverify.canary.observer import Clock, Observer
from opsverify.canary.policy import GateCriterion, Kind, Policy
from opsverify.canary.window_setup import PROCESS_START, UP, WITHIN_LIMIT, Counted, Setup
from opsverify.errors import Inconclusive
from opsverify.probes.alerts import Alert
from opsverify.probes.prometheus_values import Sample, Series, Vector
from tests.support.http_double import answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from opsverify.canary.watch import GateWatch

START = 1_700_000_000.0
LEAD_S = 240
"""Seconds before the window that are simulated."""

ERRORS = Counted(
    criterion=GateCriterion(name="error_rate", limit=0.01, min_samples=200, counted="requests failed"),
    bad="request_errors",
    trials="requests",
    picked_by=("code",),
)
SLOW = Counted(
    criterion=GateCriterion(name="judgment_p95", limit=0.05, min_samples=200, counted="were slow"),
    bad=WITHIN_LIMIT,
    trials="durations",
    good_counted=True,
)
MCP = Counted(
    criterion=GateCriterion(
        name="mcp_timeouts", limit=0.05, min_samples=200, kind=Kind.ROLLBACK_ONLY, strict=False, counted="timed out"
    ),
    bad="mcp_timeouts",
    trials="mcp_calls",
    picked_by=("outcome",),
)
SIGNALS = ("requests", "request_errors", "durations", WITHIN_LIMIT, "mcp_calls", "mcp_timeouts", PROCESS_START, UP)

Labels = tuple[tuple[str, str], ...]
Share = float | tuple[tuple[float, float], ...]
"""A share of bad ones: one number, or pairs of (from second, share)."""


@dataclass
class Pod:
    """One pod: when it lives, what it serves, and how it is scraped.

    `past`: requests and failures its counters hold when the simulation begins, or when it is born. `restarts`: its
    process starts anew. `unscraped`: spans in which its scrapes fail. `renamed`: from this second on its series carry
    another label, new counters from zero or (`carries`) with their values. `quiet_ends`: a series that counts nothing
    is exported until this second. `late_s`: samples are stored so long after their time.
    """

    name: str
    scope: str = "canary"
    born: float = -1e6
    died: float = 1e9
    past: tuple[int, int] = (100_000, 100)
    restarts: tuple[float, ...] = ()
    scrape_s: int = 15
    offset: int = 0
    exports_start: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    unscraped: tuple[tuple[float, float], ...] = ()
    renamed: float | None = None
    carries: bool = False
    quiet_ends: float | None = None
    late_s: float = 0.0
    errors: Share | None = None
    weight: float = 1.0

    def scrapes(self, until: float) -> list[int]:
        """Seconds at which it is scraped."""
        first = -LEAD_S + self.offset % self.scrape_s
        return [
            at
            for at in range(first, int(until) + 1, self.scrape_s)
            if self.born < at <= self.died and not any(a <= at < b for a, b in self.unscraped)
        ]


def at_each(share: Share, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """A share second by second."""
    if isinstance(share, float | int):
        return np.full(len(seconds), float(share))
    values = np.zeros(len(seconds))
    for begin, value in share:
        values[seconds >= begin] = value
    return values


@dataclass
class Cluster:
    """Pods of canary and baseline with their traffic (requests/s by scope, shared among the pods that live)."""

    pods: list[Pod]
    seed: int = 0
    rates: dict[str, float] = field(default_factory=lambda: {"canary": 10.0, "baseline": 40.0})
    errors: dict[str, Share] = field(default_factory=lambda: {"canary": 0.003, "baseline": 0.003})
    slow: dict[str, Share] = field(default_factory=lambda: {"canary": 0.01, "baseline": 0.01})
    calls: float = 0.0
    policy: Policy = field(default_factory=Policy)
    counted: tuple[Counted, ...] = (ERRORS,)
    exports_up: bool = True
    instance_label: str = ""
    alerts: tuple[tuple[str, float, float], ...] = ()
    outages: tuple[tuple[float, float], ...] = ()
    poisson: bool = True
    shared_traffic: bool = True
    now: float = START

    def __post_init__(self) -> None:
        self.until = int(self.policy.longest_s) + 1
        self.seconds = np.arange(-LEAD_S, self.until, dtype=float)
        random = np.random.default_rng(self.seed)
        self.trials: dict[str, NDArray[np.int64]] = {}
        self.bad: dict[str, NDArray[np.int64]] = {}
        self.slow_ones: dict[str, NDArray[np.int64]] = {}
        for scope, rate in self.rates.items():
            pods = [pod for pod in self.pods if pod.scope == scope]
            weights = {pod.name: pod.weight * ((self.seconds >= pod.born) & (self.seconds < pod.died)) for pod in pods}
            alive = sum(weights.values(), np.zeros(len(self.seconds)))
            total = np.maximum(alive, 1e-9) if self.shared_traffic else np.full(len(self.seconds), float(len(pods)))
            for pod in pods:
                expected = rate * weights[pod.name] / total
                counts = random.poisson(expected) if self.poisson else _evenly(expected)
                errors = at_each(self.errors[scope] if pod.errors is None else pod.errors, self.seconds)
                self.trials[pod.name] = counts
                self.bad[pod.name] = random.binomial(counts, errors)
                self.slow_ones[pod.name] = random.binomial(counts, at_each(self.slow[scope], self.seconds))
        self.count()

    def count(self) -> None:
        """Count what the pods serve, and scrape it; once more after a change of what they serve."""
        self.cumulated = {
            pod.name: [
                np.concatenate([[0], np.cumsum(one[pod.name])]) for one in (self.trials, self.bad, self.slow_ones)
            ]
            for pod in self.pods
        }
        self.series = self._scraped()

    @property
    def setup(self) -> Setup:
        """What the observer is to watch."""
        selectors = {scope: {name: f"{scope}:{name}" for name in SIGNALS} for scope in ("canary", "baseline")}
        return Setup(
            start=0.0,
            policy=self.policy,
            counted=self.counted,
            selectors=selectors | {"alerts": {"": "alerts"}},
            instance_label=self.instance_label,
        )

    @property
    def clock(self) -> Clock:
        """A clock in which waiting takes no time."""

        def wait(seconds: float) -> None:
            self.now += max(0.0, seconds)

        return Clock(lambda: self.now, wait)

    def watch(self) -> GateWatch:
        """Watch the window in this process, until the gate decides."""
        self.now = START
        return Observer(Source(self), self.clock, lambda _: None, lambda _: None).observe(self.setup)  # type: ignore[arg-type]

    def truth(self, until: float, scope: str = "canary") -> tuple[int, int]:
        """Trials and bad ones of the window until a second, by every process.

        From each process' last scrape before the window (its start, where more than one scrape is missing before it; or
        its birth) to its end, or its last scrape where it lives.
        A pod that lives between two scrapes leaves no trace anywhere, and is not among them.
        """
        trials = bad = 0
        for pod in self.pods:
            if pod.scope != scope or pod.died <= 0:
                continue
            scrapes = pod.scrapes(until)
            if not scrapes:
                continue
            before = [at for at in scrapes if -2 * pod.scrape_s <= at <= 0]
            begin = max([pod.born, before[-1] if before else 0.0])
            end = pod.died if pod.died <= until else (scrapes[-1] if scrapes else 0)
            part = slice(int(begin) + LEAD_S, max(int(begin), int(end)) + LEAD_S)
            trials += int(self.trials[pod.name][part].sum())
            bad += int(self.bad[pod.name][part].sum())
        return trials, bad

    def _scraped(self) -> dict[str, dict[Labels, list[tuple[float, float, float]]]]:
        """Samples by selector and labels: (stored at, time, value)."""
        found: dict[str, dict[Labels, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
        for pod in self.pods:
            base = {"instance": f"{pod.name}:80"} | pod.labels
            for at in range(-LEAD_S + pod.offset % pod.scrape_s, self.until, pod.scrape_s):
                for signal, value, more in self._sampled(pod, at):
                    labels = tuple(sorted((base | more).items()))
                    found[f"{pod.scope}:{signal}"][labels].append((START + at + pod.late_s, START + at, float(value)))
        return found

    def _sampled(self, pod: Pod, at: int) -> Iterator[tuple[str, float, dict[str, str]]]:
        """What a scrape of a pod at a second shows: signal, value, and labels beside the pod's own."""
        failing = any(begin <= at < end for begin, end in pod.unscraped)
        if not pod.born < at <= pod.died:
            return
        if self.exports_up and "exported_instance" not in pod.labels:
            yield UP, 0 if failing else 1, {}
        if failing:
            return
        births = [pod.born, *pod.restarts]
        birth = max(one for one in births if one < at)
        past = pod.past if birth == pod.born else (0, 0)
        if pod.exports_start:  # what has a past began before it came into the scope
            yield PROCESS_START, START + birth - (3600 if any(past) else 0), {}
        begun, version = birth, {}
        if pod.renamed is not None:
            version = {"version": "1" if at < pod.renamed else "2"}
            if at >= pod.renamed and not pod.carries:
                begun, past = max(birth, pod.renamed), (0, 0)
        total, bad, slow = (
            int(one[at + LEAD_S] - one[int(max(begun, -LEAD_S)) + LEAD_S]) for one in self.cumulated[pod.name]
        )
        total, bad = total + past[0], bad + past[1]
        yield "requests", total - bad, {"code": "200"} | version
        if bad:
            yield "requests", bad, {"code": "500"} | version
            yield "request_errors", bad, {"code": "500"} | version
        if pod.quiet_ends is not None and at < pod.quiet_ends and birth < -LEAD_S:
            yield "requests", 0 if begun > birth else 3, {"code": "404"} | version
        yield "durations", total, version
        yield WITHIN_LIMIT, total - slow, {"le": "1.5"} | version
        if self.calls:
            yield "mcp_calls", int(self.calls * (at - max(begun, -LEAD_S))), {"outcome": "ok"} | version


@dataclass
class Source:
    """The cluster as the observer's Prometheus, without HTTP."""

    cluster: Cluster

    def now(self) -> float:
        """The server's clock."""
        return self.cluster.now

    def history(self, selector: str, span_s: float, at: float) -> tuple[Series, ...]:
        """Raw samples stored by now, of the last `span_s` seconds."""
        self._answer(at)
        found = []
        for labels, samples in self.cluster.series.get(selector, {}).items():
            points = tuple(
                (moment, value) for stored, moment, value in samples if at - span_s < moment <= at and stored <= at
            )
            if points:
                found.append(Series(MappingProxyType(dict(labels)), points))
        return tuple(found)

    def whole(self, query: str, at: float | None = None) -> Vector:
        """Values of a selector, or its last ones of a day; nothing has been reset."""
        moment = self.cluster.now if at is None else at
        self._answer(moment)
        selector = query.removeprefix("last_over_time(").partition("[")[0]
        found = []
        for labels, samples in self.cluster.series.get(selector, {}).items():
            latest = [
                one for one in samples if one[1] <= moment and ("last_over_time" in query or one[1] > moment - 60)
            ]
            if latest:
                found.append(Sample(MappingProxyType(dict(labels)), latest[-1][2], latest[-1][1]))
        return Vector(tuple(found), (), moment, query)

    def firing_alerts(self, _matchers: str) -> tuple[Alert, ...]:
        """Alerts that fire now."""
        self._answer(self.cluster.now)
        return tuple(
            Alert(name, MappingProxyType({"alertname": name}), "firing", _moment(START + since))
            for name, since, ends in self.cluster.alerts
            if since <= self.cluster.now - START < ends
        )

    def _answer(self, at: float) -> None:
        if any(begin <= at - START < end for begin, end in self.cluster.outages):
            raise Inconclusive("no answer")


@contextmanager
def serving(cluster: Cluster) -> Iterator[str]:
    """Serve the cluster as a Prometheus over HTTP; its URL."""
    source = Source(cluster)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            try:
                status, body = 200, {"status": "success", "data": self.data(asked)}
            except Inconclusive:
                status, body = 503, {"status": "error", "error": "restarting"}
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def data(self, asked: dict[str, list[str]]) -> dict[str, Any]:
            query, at = asked["query"][0], float(asked.get("time", [str(cluster.now)])[0])
            if query == "time()":
                return {"resultType": "scalar", "result": [at, str(at)]}
            if query.startswith("ALERTS"):
                entries = [
                    {
                        "metric": dict(alert.labels) | {"alertstate": "firing"},
                        "value": [at, str(_since(alert)) if "FOR_STATE" in query else "1"],
                    }
                    for alert in source.firing_alerts("")
                ]
                return {"resultType": "vector", "result": entries}
            ranged = re.fullmatch(r"(.+)\[(\d+)ms\]", query)
            assert ranged, query
            series = source.history(ranged[1], int(ranged[2]) / 1000, at)
            return {
                "resultType": "matrix",
                "result": [
                    {"metric": dict(one.labels), "values": [[moment, str(value)] for moment, value in one.points]}
                    for one in series
                ],
            }

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with answering(Handler) as url:
        yield url


def pods(number: int, scope: str = "canary", **change: Any) -> list[Pod]:  # noqa: ANN401 - fields of Pod
    """Pods alike, scraped at offsets of their own."""
    every = change.get("scrape_s", 15)
    return [Pod(f"{scope}-{n}", scope, **({"offset": n * every // max(1, number)} | change)) for n in range(number)]


def _evenly(expected: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.diff(np.concatenate([[0], np.floor(np.cumsum(expected) + 1e-9)])).astype(np.int64)


def _moment(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, dt.UTC)


def _since(alert: Alert) -> float:
    assert alert.active_since is not None
    return alert.active_since.timestamp()
