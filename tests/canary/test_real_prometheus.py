"""The gate on a real Prometheus: scrapes once a minute, a second replica, pods behind one collector.

The storage holds what a simulated cluster exports, at its own times: an hour of a cluster is read in a second, and what
is counted is compared with what is counted of the simulation itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from opsverify.canary.policy import Policy
from opsverify.canary.window_setup import MOST_SKEW_S
from opsverify.cli.doctor_metrics import metric_findings
from opsverify.config.load import load_target
from opsverify.config.model import PrometheusConfig
from opsverify.probes.prometheus import Prometheus
from tests.canary.cluster import START, Cluster, pods
from tests.canary.named_cluster import NamedCluster, target_at
from tests.canary.named_criteria import ERRORS, SLOW
from tests.canary.situations import BAD, cluster, collector
from tests.support.http_double import ANSWER_WITHIN_S
from tests.support.real_prometheus import holding, of_profile, watched
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.canary.watch import GateWatch
    from opsverify.cli.doctor_findings import DoctorFinding

SHORT = Policy(step_s=30, shortest_s=300, longest_s=599)
LONG = Policy(step_s=30, shortest_s=600, longest_s=1200)
PROFILES: dict[str, Cluster] = {
    "minute": Cluster([*pods(3, scrape_s=60), *pods(2, "baseline", scrape_s=60)], seed=5, policy=LONG),
    "collector": cluster(2, collector(start=False)[:2], policy=SHORT),
    "collector-failing": cluster(2, collector(start=False)[:2], BAD, policy=SHORT),
    "replicas": Cluster([*pods(2), *pods(1, "baseline")], seed=3, policy=SHORT),
    "monitors": Cluster([*pods(2), *pods(1, "baseline")], seed=3, policy=SHORT),
}
"""Windows by profile; the offsets of the scrapes are as `pods` gives them."""
SCRAPERS: dict[str, tuple[dict[str, str], ...]] = {
    "replicas": ({"replica": "a"}, {"replica": "b"}),
    "monitors": (
        {"job": "judgment", "service": "judgment", "endpoint": "http-metrics"},
        {"job": "prod/judgment", "endpoint": "http"},
    ),
}
"""By profile, what each of two scrapers attaches: replicas, or the ServiceMonitor and PodMonitor of an operator."""
PAST_S = 300
"""The windows began so long ago, and last for ten or twenty minutes: now is in each of them."""


@pytest.fixture(scope="module")
def began() -> float:
    """When all windows began (Unix seconds)."""
    return float(round(time.time())) - PAST_S


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, began: float) -> Iterator[str]:
    """A Prometheus with all profiles, told apart by a label; that of the replicas has each series of two of them."""
    stored = []
    for profile, world in PROFILES.items():
        for pairs, samples in NamedCluster(world).series.items():
            for late, attached in enumerate(SCRAPERS.get(profile, ({},))):
                # The second one scrapes a second later.
                labels = dict(pairs) | {"profile": profile} | attached
                stored.append((labels, [(at - START + began + late, value) for _, at, value in samples]))
    with holding(tmp_path_factory.mktemp("prometheus"), stored) as found:
        yield found


def window(url: str, began: float, profile: str) -> GateWatch:
    """The window of a profile, observed as by a run."""
    policy = PROFILES[profile].policy
    shortest = "300s" if policy is SHORT else "600s"
    target = target_at(url, {}, step="30s", shortest_window=shortest, **of_profile(profile))
    return watched(target, (ERRORS, SLOW), began, policy.longest_s)


@pytest.mark.parametrize(
    ("profile", "outcome"), [("minute", "promote"), ("collector", "promote"), ("collector-failing", "rollback")]
)
def test_a_profile_is_counted_as_what_was_exported(url: str, began: float, profile: str, outcome: str) -> None:
    """As many trials and bad ones as are counted of the simulation itself, and the decision that is wanted."""
    found, simulated = window(url, began, profile), PROFILES[profile].watch()
    assert found.decision.outcome.value == outcome, found.decision.reasons
    assert found.elapsed_s == simulated.elapsed_s
    counted, expected = (watch.progress[0].history for watch in (found, simulated))
    assert counted == expected


@pytest.mark.parametrize(("profile", "label"), [("replicas", "replica=b"), ("monitors", "job=")])
def test_a_second_scraper_is_counted_once_and_named(url: str, began: float, profile: str, label: str) -> None:
    """Every series is there twice, under the labels of a replica or of another job: evidence is not doubled."""
    found = window(url, began, profile)
    assert found.decision.outcome.value == "hold"
    assert any("duplicate series" in reason and label in reason for reason in found.decision.reasons)
    trials = sum(canary.trials for canary, _ in found.progress[0].history)
    assert trials == pytest.approx(PROFILES[profile].truth(PROFILES[profile].policy.longest_s)[0], rel=0.05)


def test_the_newest_samples_are_asked_for(url: str) -> None:
    """VictoriaMetrics answers as of 30 s ago unless it is told not to: that looked like a clock that is wrong."""
    config = PrometheusConfig.model_validate({"url": url, "timeout_s": ANSWER_WITHIN_S})
    before = time.time()
    with Prometheus(config) as prometheus:
        assert before - MOST_SKEW_S <= prometheus.now() <= time.time() + MOST_SKEW_S


@pytest.mark.parametrize("profile", ["minute", "replicas", "monitors"])
def test_doctor_finds_what_is_scraped_twice(url: str, tmp_path: Path, profile: str) -> None:
    """Before a release, and not after the first window that holds."""
    scopes = "\n".join(f"{scope} = '{matchers}'" for scope, matchers in of_profile(profile).items())
    found = of_doctor(url, tmp_path, f"[canary]\n{scopes}\n", '"prometheus", ', '"canary", ')
    twice = found.get("prometheus, canary")
    assert (twice is None) == (profile == "minute")
    assert twice is None or "is scraped by two jobs or replicas" in twice.text


def test_doctor_finds_every_signal(url: str, tmp_path: Path) -> None:
    """What the profiles export is found by name, with the buckets of the limit; nothing is found wrong."""
    found = of_doctor(url, tmp_path, "", '"prometheus", ')
    assert {"prometheus", "signals.requests", "signals.request_errors", "limits.judgment_p95"} <= found.keys()
    assert [finding for finding in found.values() if not finding.ok] == []


def of_doctor(url: str, folder: Path, more: str, *present: str) -> dict[str, DoctorFinding]:
    """What doctor finds of the metrics of a target with these parts, by the finding's part."""
    absent = ("llm_calls", "llm_cost", "llm_parses", "workflows", "mcp_calls", "cache_lookups")
    signals = "".join(f'{name} = {{ absent = "not simulated" }}\n' for name in absent)
    path = folder / "t.toml"
    smallest = SMALLEST
    for part in present:
        smallest = smallest.replace(part, "")
    tables = f'[prometheus]\nurl = "{url}"\ntimeout_s = {ANSWER_WITHIN_S}\n[prometheus.signals]\n{signals}'
    path.write_text(f"{smallest}\n{tables}\n{more}", encoding="utf-8")
    return {finding.part: finding for finding in metric_findings(*load_target(path))}
