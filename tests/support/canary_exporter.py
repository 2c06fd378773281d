"""A canary and its baseline as a real Prometheus scrapes them every second; a test lets the canary fail."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from tests.support.real_prometheus import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REQUESTS: Final = {"canary": 100, "stable": 600}
"""Requests between two scrapes."""
FAILING: Final = 0.5
_CONFIG: Final = """\
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
  - job_name: judgment
    static_configs:
      - {{ targets: ["127.0.0.1:{canary}"], labels: {{ track: canary }} }}
      - {{ targets: ["127.0.0.1:{stable}"], labels: {{ track: stable }} }}
"""
TARGET: Final = """
name = "far"
environment = "staging"
language = "{language}"
absent = ["alertmanager", "postgres", "redis", "mcp", "inbox", "recovery"]
[owners]
default = "me"
[prometheus]
url = "{url}"
[prometheus.signals]
llm_parses = {{ absent = "no LLM here" }}
llm_parse_failures = {{ absent = "no LLM here" }}
llm_cost = {{ absent = "no LLM here" }}
workflows = {{ absent = "no workflows here" }}
workflow_failures = {{ absent = "no workflows here" }}
mcp_calls = {{ absent = "no MCP here" }}
mcp_timeouts = {{ absent = "no MCP here" }}
cache_lookups = {{ absent = "no cache here" }}
cache_misses = {{ absent = "no cache here" }}
durations = {{ absent = "not measured here" }}
duration_buckets = {{ absent = "not measured here" }}
[canary]
canary = 'track="canary"'
baseline = 'track="stable"'
alerts = 'track="canary"'
step = "1s"
window = "{window}"
allow_short_window = true
[services.a]
url = "http://127.0.0.1:9"
"""


class _Process:
    """What one process exports: its counters grow with every scrape."""

    def __init__(self, track: str) -> None:
        self._started = time.time()
        self._each, self._good, self._bad = REQUESTS[track], 100_000, 100
        self._lock = threading.Lock()
        self.fails = False

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """One scrape."""
        with self._lock:
            bad = round(self._each * FAILING) if self.fails else 0
            self._bad += bad
            self._good += self._each - bad
            requests = CounterMetricFamily("judgment_requests", "Judgments.", labels=["code"])
            requests.add_metric(["200"], self._good)
            requests.add_metric(["500"], self._bad)
        yield requests
        started = GaugeMetricFamily("process_start_time_seconds", "When the process began.", value=self._started)
        yield started


class ScrapedCanary:
    """The two processes, and the Prometheus that scrapes them."""

    def __init__(self, url: str, canary: _Process) -> None:
        self.url, self._canary = url, canary

    def fail(self) -> None:
        """Let every second request of the canary fail from now on."""
        self._canary.fails = True

    def target(self, window: str = "5m", language: str = "en") -> str:
        """The text of a target whose canary it is."""
        return TARGET.format(url=self.url, window=window, language=language)


@contextmanager
def scraped_canary(folder: Path) -> Iterator[ScrapedCanary]:
    """Scrape a healthy canary until the end of the block."""
    ports, servers, processes = {}, [], {}
    for track in REQUESTS:
        registry, processes[track] = CollectorRegistry(), _Process(track)
        registry.register(processes[track])
        server, thread = start_http_server(0, "127.0.0.1", registry)
        servers.append((server, thread))
        ports[track] = server.server_port
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with running(folder, _CONFIG.format(**ports)) as url:
            yield ScrapedCanary(url, processes["canary"])
    finally:
        for server, thread in servers:
            server.shutdown()
            server.server_close()
            thread.join()
