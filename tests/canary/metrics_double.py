"""A Prometheus over HTTP whose platform and clock are made up, and every fault it can have.

Selectors are plain `scope:signal`; counters grow with time alone, so that the expected result is known.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from opsverify.canary.observer import Clock
from opsverify.canary.policy import GateCriterion, Policy
from opsverify.canary.window_setup import PROCESS_START, WITHIN_LIMIT, Counted, Setup
from tests.support.http_double import answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = 1_000_000.0
SCRAPE_S = 5.0
RATES = {"canary": 40.0, "baseline": 160.0}
POLICY = Policy(shortest_s=100, longest_s=200, step_s=10)
COUNTED = (
    Counted(
        criterion=GateCriterion(name="error_rate", limit=0.01, min_samples=200, counted="requests failed"),
        bad="request_errors",
        trials="requests",
        picked_by=("code",),
    ),
    Counted(
        criterion=GateCriterion(name="judgment_p95", limit=0.05, min_samples=200, counted="were slow"),
        bad=WITHIN_LIMIT,
        trials="durations",
        good_counted=True,
    ),
)
SIGNALS = ("requests", "request_errors", "durations", WITHIN_LIMIT, "llm_cost", PROCESS_START)
SETUP = Setup(
    start=0.0,
    policy=POLICY,
    counted=COUNTED,
    selectors={"alerts": {"": ""}} | {scope: {name: f"{scope}:{name}" for name in SIGNALS} for scope in RATES},
)

Series = dict[str, float]
"""Value by series: `code=200,instance=a:1`."""


@dataclass
class World:
    """The made-up platform: `now` moves as the observer waits; the functions are the faults.

    `ahead_s`: its Prometheus' clock, and with it all samples. `old_s`: its samples alone are so much older.
    """

    now: float = START
    error_share: float = 0.002
    alerts: tuple[str, ...] = ()
    alerts_since: float = START + 1
    ahead_s: float = 0.0
    old_s: float = 0.0
    spoil: Callable[[float, str, Series], Series] = lambda _at, _query, series: series
    answer: Callable[[float, BaseHTTPRequestHandler], bool] = lambda _elapsed, _handler: False
    kept_s: float = 1e9
    warnings: tuple[str, ...] = ()
    url: str = ""
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def clock(self) -> Clock:
        """Our own clock, in which waiting takes no time."""

        def wait(seconds: float) -> None:
            self.now += max(0.0, seconds)

        return Clock(lambda: self.now, wait)

    def series(self, query: str, at: float) -> Series:
        """What a scrape of `scope:signal` sees at a time."""
        scope, _, signal = query.partition(":")
        seen: Series = {}
        for instance in (f"{scope}-a:1", f"{scope}-b:1"):
            total = RATES[scope] / 2 * (at - START + 5000)
            bad = int(total * self.error_share)
            per_signal: dict[str, Series] = {
                "requests": {
                    f"code=200,instance={instance}": total - bad,
                    f"code=500,instance={instance}": bad,
                },
                "request_errors": {f"code=500,instance={instance}": bad},
                "durations": {f"instance={instance}": total},
                WITHIN_LIMIT: {f"instance={instance},le=1.5": int(total * 0.99)},
                "llm_cost": {f"instance={instance}": total / 1000},
                PROCESS_START: {f"instance={instance}": START - 5000},
            }
            seen |= per_signal[signal]
        return self.spoil(at - START, query, seen)

    def history(self, query: str, at: float, span_s: float) -> list[dict[str, Any]]:
        """The range selector's answer: every scrape of the last `span_s` seconds."""
        first = max(at - span_s, self.now + self.ahead_s - self.kept_s)
        found: dict[str, list[list[Any]]] = {}
        scrape = int(first // SCRAPE_S) + 1
        while scrape * SCRAPE_S <= at:
            moment = scrape * SCRAPE_S
            for key, value in self.series(query, moment - self.ahead_s).items():
                found.setdefault(key, []).append([moment - self.old_s, str(value)])
            scrape += 1
        return [
            {"metric": dict(pair.split("=", 1) for pair in key.split(",")), "values": values}
            for key, values in found.items()
        ]


@contextmanager
def serving(world: World) -> Iterator[World]:
    """Serve `world` over HTTP; sets its `url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if world.answer(world.now - START, self):
                return
            asked = parse_qs(urlsplit(self.path).query)
            reply(self, 200, {"status": "success", "data": self.data(asked), "warnings": world.warnings})

        def data(self, asked: dict[str, list[str]]) -> dict[str, Any]:
            query, at = asked["query"][0], float(asked.get("time", [world.now + world.ahead_s])[0])
            if query == "time()":
                return {"resultType": "scalar", "result": [at, str(at)]}
            if query.startswith("ALERTS"):
                entries = [
                    {
                        "metric": {"alertname": name, "alertstate": "firing"},
                        "value": [at, str(world.alerts_since) if "FOR_STATE" in query else "1"],
                    }
                    for name in world.alerts
                    if world.alerts_since <= at
                ]
                return {"resultType": "vector", "result": entries}
            ranged = re.fullmatch(r"(.+)\[(\d+)ms\]", query)
            assert ranged, query
            return {"resultType": "matrix", "result": world.history(ranged[1], at, int(ranged[2]) / 1000)}

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with answering(Handler) as world.url:
        try:
            yield world
        finally:
            world.release.set()


def reply(handler: BaseHTTPRequestHandler, status: int, body: object) -> bool:
    """Answer with JSON, or with text as it is; True, as `World.answer` does once it has answered."""
    raw = (body if isinstance(body, str) else json.dumps(body)).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(raw)))
    handler.end_headers()
    handler.wfile.write(raw)
    return True
