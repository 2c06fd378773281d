"""Metrics of the service, and the faults of their exposition."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.platform.faults import Faults

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 5.0, 10.0)
_CODES = ("200", "400", "500", "503")


class Metrics:
    """All series of one process, each with its track; the expected label values exist from the start."""

    def __init__(self, track: str, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it out
        self._track = track
        self._version = version
        self.registry = CollectorRegistry()
        self._requests = self._counter("judgment_requests", "Judgments by HTTP status", "version", "code")
        self._duration = Histogram(
            "judgment_duration_seconds",
            "Time to answer a judgment",
            ("track", "version"),
            buckets=_BUCKETS,
            registry=self.registry,
        ).labels(track, version)
        self._llm_calls = self._counter("llm_calls", "Calls of the LLM by outcome", "outcome")
        self._llm_parse = self._counter("llm_parse", "Answers of the LLM that could be parsed or not", "outcome")
        self._llm_cost = self._counter("llm_cost_usd", "Money spent on the LLM in USD").labels(track)
        self._llm_tokens = self._counter("llm_tokens", "Tokens paid for", "kind")
        self._workflows = self._counter("workflow_finished", "Workflow instances that came to an end", "status")
        self._mcp_calls = self._counter("mcp_calls", "Calls of MCP tools by outcome", "outcome")
        self._breaker = self._counter("mcp_breaker_transitions", "States that the circuit breaker has entered", "to")
        self._cache = self._counter("judgment_cache", "Lookups in the judgment cache", "outcome")
        self._bi_reads = self._counter("bi_reads", "Reads of line statistics by source", "source")
        self.cache_errors = self._counter("judgment_cache_errors", "Cache calls that Redis did not answer").labels(
            track
        )
        self._notifications = self._counter("notifications", "Notifications of alarms by outcome", "outcome")
        self.dead_letters = self._gauge("workflow_dead_letters", "Unresolved dead letters without synthetic ones")
        self.breaker_open = self._gauge("mcp_breaker_open", "1 while the circuit breaker lets no call through")
        self.alert_firing = self._gauge("sandbox_alert_firing", "1 while the fault alert_firing is on")
        for name, text, volumes in (
            ("storage_free_bytes", "Free bytes of a volume", {"data": 62e9, "growing": 12e9}),
            ("storage_size_bytes", "Size of a volume in bytes", dict.fromkeys(("data", "growing"), 100e9)),
        ):
            gauge = Gauge(name, text, ("track", "volume"), registry=self.registry)
            for volume, size in volumes.items():
                gauge.labels(track, volume).set(size)
        self._info = Gauge("app_info", "The running version", ("track", "version", "migration"), registry=self.registry)
        for code in _CODES:
            self._requests.labels(track, version, code)
        for counter, values in (
            (self._llm_calls, ("ok", "timeout", "error")),
            (self._llm_parse, ("ok", "failed")),
            (self._llm_tokens, ("prompt", "completion")),
            (self._workflows, ("completed", "failed")),
            (self._mcp_calls, ("ok", "timeout", "error")),
            (self._breaker, ("open", "half-open", "closed")),
            (self._cache, ("hit", "miss")),
            (self._bi_reads, ("raw", "preaggregate")),
            (self._notifications, ("ok", "failed")),
        ):
            for value in values:
                counter.labels(track, value)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, ("track", *labels), registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ("track",), registry=self.registry).labels(self._track)

    def judged(self, code: int, seconds: float) -> None:
        """One answered POST /v1/judgments."""
        self._requests.labels(self._track, self._version, str(code)).inc()
        self._duration.observe(seconds)

    def llm_called(self, outcome: str) -> None:
        """One call of the LLM: ok, timeout or error."""
        self._llm_calls.labels(self._track, outcome).inc()

    def llm_parsed(self, *, ok: bool) -> None:
        """One answer of the LLM that was read, or could not be."""
        self._llm_parse.labels(self._track, "ok" if ok else "failed").inc()

    def llm_paid(self, prompt_tokens: int, completion_tokens: int, usd: float) -> None:
        """What one answer of the LLM cost."""
        self._llm_tokens.labels(self._track, "prompt").inc(prompt_tokens)
        self._llm_tokens.labels(self._track, "completion").inc(completion_tokens)
        self._llm_cost.inc(usd)

    def workflow_finished(self, *, completed: bool) -> None:
        """One workflow instance at its end state."""
        self._workflows.labels(self._track, "completed" if completed else "failed").inc()

    def mcp_called(self, outcome: str) -> None:
        """One call of an MCP tool: ok, timeout or error."""
        self._mcp_calls.labels(self._track, outcome).inc()

    def breaker_changed(self, state: str) -> None:
        """The circuit breaker has entered a state."""
        self._breaker.labels(self._track, state).inc()

    def cache_looked_up(self, *, hit: bool) -> None:
        """One lookup in the judgment cache."""
        self._cache.labels(self._track, "hit" if hit else "miss").inc()

    def statistics_read(self, source: str) -> None:
        """One read of line statistics: raw or preaggregate."""
        self._bi_reads.labels(self._track, source).inc()

    def notified(self, *, ok: bool) -> None:
        """One notification that arrived, or did not."""
        self._notifications.labels(self._track, "ok" if ok else "failed").inc()

    def running(self, version: str, migration: str) -> None:
        """State the running version and the database's migration; earlier statements vanish."""
        self._info.clear()
        self._info.labels(self._track, version, migration).set(1)

    def expose(self, faults: Faults) -> bytes:
        """The Prometheus text format, as the faults of this track leave it."""
        return generate_latest(_Exposition(self.registry, faults))


class _Exposition(Collector):
    """The registry as a scrape sees it."""

    def __init__(self, registry: CollectorRegistry, faults: Faults) -> None:
        self._registry = registry
        self._missing = faults.on("metrics_missing")
        self._nan = faults.on("metrics_nan")
        self._full = faults.on("storage_full")

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            if self._missing and metric.name.startswith("judgment_"):
                continue
            if self._full and metric.name == "storage_free_bytes":
                yield _with_values(metric, lambda _: 4e9)
            elif self._nan and metric.name == "judgment_requests":
                yield _with_values(metric, lambda s: math.nan if s.labels.get("code") == "500" else s.value)
            else:
                yield metric


def _with_values(metric: Metric, value: Callable[[Sample], float]) -> Metric:
    copy = Metric(metric.name, metric.documentation, metric.type)
    copy.samples = [Sample(sample.name, sample.labels, value(sample)) for sample in metric.samples]
    return copy
