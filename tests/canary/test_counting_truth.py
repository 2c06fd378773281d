"""Counts of any cluster against the truth: exact, or bounded; never a bad one turned into a good one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from opsverify.canary.policy import Policy
from tests.canary.cluster import LEAD_S, Cluster, Pod

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

LONGEST_S = 300
WHOLE = Policy(shortest_s=LONGEST_S, longest_s=LONGEST_S, step_s=15, alpha=1e-12, restarts=None)
"""Watched to the end, whatever happens."""


@st.composite
def any_pod(draw: st.DrawFn, number: int, scrape_s: int) -> Pod:
    """One pod that may come, go, restart, be renamed, or not be scraped for a while."""
    name = f"canary-{number}"
    born = draw(st.sampled_from([-1e6, -1e6, -1e6, 35.0, 101.0, 160.0]))
    died = draw(st.sampled_from([1e9, 1e9, 1e9, -20.0, 40.0, 130.0, 222.0, 288.0]))
    if died <= born:
        died = 1e9
    restarts = draw(st.lists(st.sampled_from([-50.0, 22.0, 75.0, 150.0, 151.0, 266.0]), max_size=2, unique=True))
    begin = draw(st.sampled_from([20.0, 80.0, 200.0]))
    behind = draw(st.booleans())
    return Pod(
        name,
        born=born,
        died=died,
        past=draw(st.sampled_from([(0, 0), (7, 0), (400, 9), (868_000, 434)])),
        restarts=tuple(sorted(at for at in restarts if born < at < died)),
        scrape_s=scrape_s,
        offset=draw(st.integers(0, scrape_s - 1)),
        exports_start=draw(st.booleans()),
        labels={"instance": "collector:1", "exported_instance": name} if behind else {},
        unscraped=draw(
            st.sampled_from([(), (), ((begin, begin + 35.0),), ((begin, 1e9),), ((-50.0, min(begin, 80.0)),)])
        ),
        renamed=draw(st.sampled_from([None, None, 100.0, 187.0])),
        carries=draw(st.booleans()),
        quiet_ends=draw(st.sampled_from([None, 60.0, 1e9])),
        late_s=draw(st.sampled_from([0.0, 2.0])),
    )


@st.composite
def any_cluster(draw: st.DrawFn) -> Cluster:
    """One to four canary pods of any fate, one baseline pod; every pod serves the same all the time."""
    scrape_s = draw(st.sampled_from([5, 15, 30, 60]))
    number = draw(st.integers(1, 4))
    pods: list[SearchStrategy[Pod]] = [any_pod(number=n, scrape_s=scrape_s) for n in range(number)]
    return Cluster(
        [*(draw(pod) for pod in pods), Pod("baseline", "baseline", scrape_s=scrape_s)],
        seed=draw(st.integers(0, 99)),
        rates={"canary": 4.0 * number, "baseline": 10.0},
        errors={"canary": draw(st.sampled_from([0.0, 0.003, 0.2])), "baseline": 0.0},
        policy=WHOLE,
        exports_up=draw(st.booleans()),
        outages=draw(st.sampled_from([(), ((100.0, 140.0),)])),
        poisson=False,
        shared_traffic=False,
    )


@settings(max_examples=150)
@given(any_cluster())
def test_what_is_counted_is_exact_or_bounded(cluster: Cluster) -> None:
    """Whatever comes and goes: no good one is made up, no bad one either, and what is missing is said."""
    watch = cluster.watch()
    counted, unseen = watch.assessment("error_rate"), watch.counting.unseen(0)
    scrape_s = cluster.pods[0].scrape_s
    trials, bad = cluster.truth(watch.elapsed_s)
    good = trials - bad
    assert counted.trials <= trials
    assert counted.bad <= bad
    assert counted.trials - counted.bad <= good
    if any(_ends_unscraped(pod) and not (cluster.exports_up and not pod.labels) for pod in cluster.pods):
        return  # whether it ended is then inferred from where its traffic went, which proves nothing
    if any(_hides_a_restart(pod, cluster) for pod in cluster.pods):
        return  # counters that do not fall, without a start time: nothing tells of it
    # Samples that came last may still wait for those of other series.
    earlier = watch.elapsed_s - 4 * scrape_s - 15
    trials, bad = cluster.truth(earlier) if earlier > 0 else (0, 0)
    said = counted.fault or ""
    if not counted.trials or "for long enough to tell" in said or "which is no restart" in said:
        return  # nothing bounds what was not seen: nothing is promoted
    assert counted.trials + unseen.trials >= trials
    assert counted.bad + unseen.trials >= bad


def _ends_unscraped(pod: Pod) -> bool:
    return any(begin < pod.died <= end or pod.died > end > LONGEST_S for begin, end in pod.unscraped)


def _hides_a_restart(pod: Pod, cluster: Cluster) -> bool:
    """Whether a process without a start time was never scraped, or its successor counted as much until its scrape."""
    scrapes, counts = pod.scrapes(LONGEST_S), cluster.cumulated[pod.name][0]
    births = [pod.born, *pod.restarts]
    for begun, restarted in pairwise(births):
        before, after = [at for at in scrapes if begun < at <= restarted], [at for at in scrapes if at > restarted]
        if after and not before:
            return True
        if pod.exports_start or not after:
            continue
        past = pod.past[0] if begun == pod.born else 0
        born = max([-LEAD_S, *(birth for birth in births if birth < after[0])])
        old = past + counts[before[-1] + LEAD_S] - counts[int(max(begun, -LEAD_S)) + LEAD_S]
        if counts[after[0] + LEAD_S] - counts[int(born) + LEAD_S] >= old:
            return True
    return False
