"""Samples that are stored long after their time: all of them are counted, and what comes too late is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsverify.canary.policy import Policy
from opsverify.canary.window_setup import UP
from tests.canary.cluster import START, Cluster, Pod, pods

if TYPE_CHECKING:
    from opsverify.canary.watch import GateWatch

FAILING = ((-1e6, 0.0), (0.0, 0.3))


def watched(late_s: float) -> GateWatch:
    """A window in which every sample is stored so late."""
    baseline = [Pod(f"baseline-{n}", "baseline", late_s=late_s, offset=7 * n) for n in range(3)]
    return Cluster([*pods(3, late_s=late_s), *baseline], seed=1).watch()


@settings(max_examples=12, deadline=None)
@given(late_s=st.floats(0, 45))
def test_a_delay_of_all_samples_loses_none(late_s: float) -> None:
    """A remote write: the gate decides as without, on all that arrived until then."""
    watch = watched(late_s)
    assert watch.decision.outcome.value == "promote", watch.decision.reasons
    assert (watch.grown("canary", "requests") or 0.0) >= 10 * 0.9 * (watch.elapsed_s - late_s - 15)


@pytest.mark.parametrize("offset", [0, 5, 10, 14])
def test_a_pod_that_answers_slowly_is_counted(offset: int) -> None:
    """Scraped every 30 s, it needs 25 s to answer, and fails; the others are quick and good."""
    found = pods(3, scrape_s=30)
    found[2].late_s, found[2].offset, found[2].errors = 25.0, offset, 0.3
    baseline = [Pod(f"baseline-{n}", "baseline", scrape_s=30) for n in range(3)]
    watch = Cluster([*found, *baseline], seed=1).watch()
    assert watch.decision.outcome.value == "rollback", watch.decision.reasons


def test_what_comes_too_late_is_said() -> None:
    """Nothing of the window can be counted: hold, and how late it comes."""
    watch = watched(90.0)
    assert watch.decision.outcome.value == "hold"
    assert "the newest one is 9" in "\n".join(watch.decision.reasons)


def silent_from(second: float, *, target_there: bool) -> Cluster:
    """One of three pods is scraped for the last time at a second, while it serves; its target is there, or gone."""
    found = pods(3)
    found[0].unscraped = ((second + 1, 1e9),)
    found[0].errors = FAILING
    made = Cluster([*found, *pods(3, "baseline")], seed=1)
    if not target_there:
        for labels in made.series[f"canary:{UP}"]:
            if ("instance", "canary-0:80") in labels:
                samples = made.series[f"canary:{UP}"][labels]
                made.series[f"canary:{UP}"][labels] = [one for one in samples if one[1] <= START + second]
    return made


def test_a_pod_that_shows_nothing_while_its_target_is_there_is_lost() -> None:
    """It may serve unseen: hold, and not "over before the window"."""
    watch = silent_from(-30.0, target_there=True).watch()
    assert watch.decision.outcome.value == "hold"
    assert "missing canary instance canary-0:80" in "\n".join(watch.decision.reasons)


def test_a_pod_whose_target_is_gone_was_over_before_the_window() -> None:
    """The rest is judged."""
    watch = silent_from(-30.0, target_there=False).watch()
    assert watch.decision.outcome.value == "promote", watch.decision.reasons


def test_windows_of_before_are_decided_as_they_were() -> None:
    """A header without the setting."""
    made = silent_from(-30.0, target_there=True)
    made.policy = Policy(awaits_late=False)
    assert made.watch().decision.outcome.value == "promote"
