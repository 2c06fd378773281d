"""The gate on native histograms that a real Prometheus scraped: what is slower than the limit is counted exactly."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.canary.policy import Policy
from opsverify.config.limits import Limits
from opsverify.probes.prometheus import Prometheus
from sandbox.processes import wait_until
from tests.canary.named_cluster import target_at
from tests.canary.named_criteria import SLOW
from tests.probes.probe_servers import fake_server
from tests.support.protobuf_exposition import CONTENT_TYPE, Observed, family
from tests.support.real_prometheus import of_profile, scraping_native_histograms, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from opsverify.canary.watch import GateWatch

METRIC = "judgment_duration_seconds"
REQUESTS = "judgment_requests_total"
POLICY = Policy(step_s=30, shortest_s=300, longest_s=600)
SCRAPE_S = 15
JUDGMENTS = 100
"""Of one process between two scrapes."""
SLOW_ONES = {"healthy": 2, "slow": 12}
"""Of these on the canary, by profile: 2 % and 12 % are slower than 2 s, and 5 % may be."""
BEFORE, AFTER = 8, 60
"""Scrapes before the window's start, and after it."""
CONFIG = """
scrape_configs:
  - job_name: judgment
    scrape_interval: 1s
    honor_labels: true
    static_configs: [{{targets: ["{address}"]}}]
"""


@pytest.fixture(scope="module")
def began() -> float:
    """When all windows began (Unix seconds)."""
    return float(round(time.time())) - 300 - SCRAPE_S * 30


def exported(began: float) -> Iterator[tuple[dict[str, str], list[tuple[float, Observed]]]]:
    """Series of canary and baseline of each profile: fast ones in (1 s, 2 s], slow ones in (2 s, 4 s]."""
    for profile, slow in SLOW_ONES.items():
        for track, slower in (("canary", slow), ("stable", 2)):
            labels = {"instance": f"{profile}-{track}", "profile": profile, "track": track}
            yield (
                labels,
                [
                    (began + SCRAPE_S * n, Observed(1, ((BEFORE + n) * (JUDGMENTS - slower), (BEFORE + n) * slower)))
                    for n in range(1 - BEFORE, AFTER)
                ],
            )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, began: float) -> Iterator[str]:
    """A Prometheus that has scraped it all, from one exposition with the time of each sample."""
    durations = list(exported(began))
    requests = [
        (labels | {"code": "200"}, [(at, float(sum(seen.counts))) for at, seen in moments])
        for labels, moments in durations
    ]
    body = family(METRIC, durations) + family(REQUESTS, requests)

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", CONTENT_TYPE)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with fake_server() as application:
        application.routes["/metrics"] = answer
        address = application.url.removeprefix("http://")
        folder = tmp_path_factory.mktemp("native")
        with scraping_native_histograms(folder, CONFIG.format(address=address)) as found:
            with Prometheus(target_at(found, {}).prometheus) as prometheus:  # type: ignore[arg-type]  # it has one
                newest = began + SCRAPE_S * (AFTER - 1)
                wait_until(
                    lambda: all(
                        len(prometheus.history(name, 60, newest)) == 2 * len(SLOW_ONES) for name in (METRIC, REQUESTS)
                    ),
                    120,
                    "the scrape of all series",
                )
            yield found


def window(url: str, began: float, profile: str, limit: str = "< 2 s") -> GateWatch:
    """The window of a profile, observed as by a run."""
    native: dict[str, Any] = {"metric": METRIC, "native": True}
    signals = {"durations": native, "duration_buckets": native}
    target = target_at(url, signals, step="30s", shortest_window="300s", **of_profile(profile))
    target = target.model_copy(update={"limits": Limits(judgment_p95=limit)})
    return watched(target, (SLOW,), began, POLICY.longest_s)


@pytest.mark.parametrize(("profile", "outcome"), [("healthy", "promote"), ("slow", "rollback")])
def test_slow_ones_are_counted_exactly(url: str, began: float, profile: str, outcome: str) -> None:
    """The limit is a boundary of the buckets: every judgment of the window is counted, on its side of it."""
    found = window(url, began, profile)
    assert found.decision.outcome.value == outcome, found.decision.reasons
    canary = [counts for counts, _ in found.progress[0].history]
    trials = sum(counts.trials for counts in canary)
    assert trials == pytest.approx(found.elapsed_s / SCRAPE_S * JUDGMENTS, abs=2 * JUDGMENTS)
    assert sum(counts.bad for counts in canary) == trials * SLOW_ONES[profile] / JUDGMENTS


def test_a_limit_within_a_bucket_is_no_measurement(url: str, began: float) -> None:
    """What is slower than 1.5 s cannot be told from what is not: on hold, with the limits that can be counted."""
    found = window(url, began, "slow", "< 1.5 s")
    assert found.decision.outcome.value == "hold"
    assert any("inside a bucket from 1 to 2 s" in reason for reason in found.decision.reasons)
