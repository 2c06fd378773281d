"""Situations of a real cluster, watched by the real observer: each ends in the decision that is wanted."""

from __future__ import annotations

from operator import attrgetter

import pytest

from opsverify.canary.decision import GateOutcome
from opsverify.canary.observer import Observer
from opsverify.canary.policy import Policy
from opsverify.config.model import PrometheusConfig
from opsverify.probes.prometheus import Prometheus
from tests.canary.cluster import START, Cluster, Pod, pods, serving
from tests.canary.situations import SITUATIONS, Situation, cluster, collector
from tests.support.http_double import ANSWER_WITHIN_S

SEEDS = (1, 2)
OVER_HTTP = (
    "spot nodes",
    "a label changes, 50 % errors from minute 5",
    "alert fires since before the window, ends at minute 3",
)


@pytest.mark.parametrize("situation", SITUATIONS, ids=attrgetter("name"))
def test_a_situation_is_decided_as_it_should_be(situation: Situation) -> None:
    """Pods come and go, sources differ, and the gate still decides."""
    for seed in SEEDS:
        watch = situation.make(seed).watch()
        assert watch.decision.outcome.value in situation.wanted, watch.decision.reasons


@pytest.mark.parametrize("name", OVER_HTTP)
def test_over_http_it_is_the_same(name: str) -> None:
    """The observer, the probe and an HTTP server between cluster and gate change nothing."""
    situation = next(one for one in SITUATIONS if one.name == name)
    inside = situation.make(1).watch()
    made = situation.make(1)
    made.now = START
    with serving(made) as url, Prometheus(PrometheusConfig(url=url, timeout_s=ANSWER_WITHIN_S)) as prometheus:
        observer = Observer(prometheus, made.clock, lambda _: None, lambda _: None, look_within_s=ANSWER_WITHIN_S)
        watch = observer.observe(made.setup)
    assert watch.decision == inside.decision


def test_a_pod_with_a_past_brings_none_of_it() -> None:
    """868,000 requests of a day before are not the window's, whatever label tells the pods apart."""
    for label in ("exported_instance", "k8s_pod", "service_instance_id", "shard"):
        made = cluster(1, collector(start=False, label=label))
        watch = made.watch()
        assert watch.assessment("error_rate").trials <= made.truth(watch.elapsed_s)[0]


def test_a_restart_loses_no_count_and_is_named() -> None:
    """What the new process counts is added to what the old one had counted, its end is bounded."""
    made = Cluster([Pod("canary-a", restarts=(290.0,)), *pods(2, "baseline")], poisson=False)
    watch = made.watch()
    counted, unseen = watch.assessment("error_rate"), watch.counting.unseen(0)
    trials, _ = made.truth(watch.elapsed_s)
    assert counted.trials < trials <= counted.trials + unseen.trials
    assert watch.counting.restarts == ("canary-a:80 at 22:18:20Z",)


def test_a_warm_up_is_left_out_and_said() -> None:
    """Two minutes of every process are not judged; the verdict says so."""
    situation = next(one for one in SITUATIONS if one.name.endswith("warm_up 2m"))
    made = situation.make(1)
    watch = made.watch()
    seconds = watch.elapsed_s - made.policy.warm_up_s
    assert watch.assessment("error_rate").trials == pytest.approx(10 * seconds, rel=0.1)
    assert "; 2m of warm-up not judged" in watch.decision.reasons[0]


def test_a_spike_that_the_baseline_shares_is_left_out_and_said() -> None:
    """Two minutes of it are judged on neither side."""
    situation = next(one for one in SITUATIONS if one.name.startswith("brief spike"))
    watch = situation.make(1).watch()
    assert "of a breach that the baseline shared left out" in watch.decision.reasons[0]
    share = watch.assessment("error_rate").share
    assert share is not None
    assert share < 0.01


def test_worse_than_the_baseline_is_said_with_its_evidence() -> None:
    """Within all limits, six times the baseline: promoted by default, and the reason says it."""
    watch = cluster(1, pods(3), 0.006, baseline=0.001).watch()
    assert watch.decision.outcome.value == "promote"
    assert "proven worse than the baseline (" in watch.decision.reasons[0]
    assert " to 1)" in watch.decision.reasons[0]


def test_a_window_with_too_few_scrapes_says_so() -> None:
    """A scrape a minute in a window of a minute: nothing that a longer wait for samples would change."""
    made = Cluster(
        [*pods(2, scrape_s=60), *pods(2, "baseline", scrape_s=60)],
        policy=Policy(shortest_s=30, longest_s=60, step_s=15),
    )
    decision = made.watch().decision
    assert decision.outcome is GateOutcome.HOLD
    assert "the canary is scraped every 1m, too seldom for a window of 1m" in "; ".join(decision.reasons)
