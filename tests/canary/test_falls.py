"""Counters that fall: a restart where one process can have counted the new value; else no restart, no trials, hold."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from opsverify.canary.policy import Policy
from opsverify.canary.window import CanaryWindow
from opsverify.canary.window_setup import PROCESS_START, UP
from opsverify.config.limits import Limits
from opsverify.errors import Inconclusive
from tests.canary.changed_series import changed
from tests.canary.cluster import LEAD_S, START, Cluster, Pod, pods
from tests.canary.situations import GOOD, cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.canary.watch import GateWatch

Sample = tuple[float, float, float]
DIP, DIP_S = 5, 20.0
RENEWED_S = 100.0


def failing(share: float) -> tuple[tuple[float, float], ...]:
    """As before the window until it begins, then `share`."""
    return ((-1e6, GOOD), (0.0, share))


def sampled(made: Cluster, change: Callable[[str, dict[str, str], list[Sample]], list[Sample]]) -> Cluster:
    """The cluster, its series with other samples."""
    return changed(made, lambda selector, labels, samples: [(labels, change(selector, labels, samples))])


def dipped(made: Cluster) -> Cluster:
    """The first pod's good requests are once five less than at the scrape before."""

    def change(selector: str, labels: dict[str, str], samples: list[Sample]) -> list[Sample]:
        if selector != "canary:requests" or labels["instance"] != "canary-0:80" or labels.get("code") != "200":
            return samples
        number = next(n for n, (_, at, _) in enumerate(samples) if at - START >= DIP_S)
        stored, at, _ = samples[number]
        return [*samples[:number], (stored, at, samples[number - 1][2] - DIP), *samples[number + 1 :]]

    return sampled(made, change)


def renewed(made: Cluster) -> Cluster:
    """The first pod's failures are counted anew in mid-window, as after their series was removed; its others go on."""

    def change(_selector: str, labels: dict[str, str], samples: list[Sample]) -> list[Sample]:
        if labels["instance"] != "canary-0:80" or labels.get("code") != "500":
            return samples
        before = max(value for _, at, value in samples if at - START < RENEWED_S)
        return [(stored, at, value - (before if at - START >= RENEWED_S else 0)) for stored, at, value in samples]

    return sampled(made, change)


def recorded(made: Cluster) -> Cluster:
    """What a recording rule sums up over the pods, every 15 s."""
    found: dict[str, Any] = defaultdict(lambda: defaultdict(list))
    for selector, series in made.series.items():
        if selector.partition(":")[2] in (UP, PROCESS_START):
            continue
        for at in range(-LEAD_S, made.until, 15):
            sums: dict[tuple[tuple[str, str], ...], float] = {}
            for labels, samples in series.items():
                latest = [value for _, moment, value in samples if START + at - 16 < moment <= START + at]
                if latest:
                    rest = (*(pair for pair in labels if pair[0] != "instance"), ("track", selector.partition(":")[0]))
                    sums[rest] = sums.get(rest, 0.0) + latest[-1]
            for labels, value in sums.items():
                found[selector][labels].append((START + at, START + at, value))
    made.series = found
    return made


def in_turn(
    number: int,
    share: float = GOOD,
    *,
    exports_start: bool = True,
    stagger: float = 7.0,
    more: int = 20_000,
    past: int = 100_000,
    seed: int = 1,
) -> Cluster:
    """One address at which so many processes answer in turn, for the canary and for the baseline."""
    every = [
        Pod(
            f"{scope}-{n}",
            scope,
            offset=0,
            exports_start=exports_start,
            past=(past + more * n, (past + more * n) // 1000),
        )
        for scope in ("canary", "baseline")
        for n in range(number)
    ]
    made = Cluster(every, seed=seed, errors={"canary": failing(share), "baseline": GOOD})
    random = np.random.default_rng(seed + 10)
    answers = {
        (scope, at): int(random.integers(number))
        for scope in ("canary", "baseline")
        for at in range(-LEAD_S, made.until, 15)
    }
    found: dict[str, Any] = defaultdict(lambda: defaultdict(list))
    for selector, series in made.series.items():
        scope, _, signal = selector.partition(":")
        for labels, samples in series.items():
            which = int(dict(labels)["instance"].partition(":")[0].partition("-")[2])
            shared = tuple(sorted((dict(labels) | {"instance": f"{scope}:80"}).items()))
            later = which * stagger if signal == PROCESS_START else 0.0
            found[selector][shared] += [
                (stored, at, value + later) for stored, at, value in samples if answers[scope, int(at - START)] == which
            ]
    made.series = {
        selector: {labels: sorted(samples) for labels, samples in series.items()} for selector, series in found.items()
    }
    return made


def gauge(made: Cluster) -> Cluster:
    """Requests that are those of the last seconds."""
    random = np.random.default_rng(1)

    def change(selector: str, _labels: dict[str, str], samples: list[Sample]) -> list[Sample]:
        if selector != "canary:requests":
            return samples
        return [(stored, at, float(random.integers(20, 60))) for stored, at, _ in samples]

    return sampled(made, change)


def held(watch: GateWatch) -> None:
    """Hold, and it says that there was no restart."""
    assert watch.decision.outcome.value == "hold", watch.decision.reasons
    assert "fell" in watch.decision.reasons[0]
    assert "no cumulative counter of one process" in watch.decision.reasons[0].replace("\n", " ")
    assert not watch.counting.restarts


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("share", [GOOD, 0.013])
def test_a_dip_adds_no_history(seed: int, share: float) -> None:
    """Five requests less, and not 100,000 good ones more."""
    made = dipped(cluster(seed, pods(3), failing(share), baseline=GOOD))
    watch = made.watch()
    held(watch)
    assert (watch.grown("canary", "requests") or 0.0) <= made.truth(watch.elapsed_s)[0] + DIP


def test_a_dip_measures_no_share_of_the_traffic() -> None:
    """Of requests that are no counter of one process nothing is a share."""
    watch = dipped(cluster(1, pods(3))).watch()
    with pytest.raises(Inconclusive, match="no cumulative counter of one process"):
        CanaryWindow(watch, Limits()).traffic_share()


@pytest.mark.parametrize("exports_start", [True, False])
def test_one_counter_that_begins_anew_is_no_restart(*, exports_start: bool) -> None:
    """A new process can have counted so little, but would have begun with its other counters too."""
    canary = pods(3, exports_start=exports_start, past=(100_000, 100))
    held(renewed(cluster(1, canary, 0.001, baseline=0.001)).watch())


def test_windows_of_before_are_counted_as_they_were() -> None:
    """A header without the setting: the dip is a restart of its process."""
    made = dipped(cluster(1, pods(3), failing(0.013), baseline=GOOD, policy=Policy(doubts_falls=False)))
    assert made.watch().decision.outcome.value == "promote"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_recording_rule_of_pods_that_go_holds(seed: int) -> None:
    """The sum falls by a whole pod's past."""
    canary = pods(3)
    canary[0].died = 30.0
    held(recorded(cluster(seed, canary, failing(0.013), baseline=GOOD)).watch())


@pytest.mark.parametrize("exports_start", [True, False])
@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("more", [20_000, 0])
def test_processes_that_answer_in_turn_hold(number: int, more: int, *, exports_start: bool) -> None:
    """A virtual address, workers of gunicorn: no counts, no restarts."""
    for share in (GOOD, 0.02) if more else (GOOD,):  # counters alike hide nothing: a breach is one
        held(in_turn(number, share, more=more, exports_start=exports_start).watch())


@pytest.mark.parametrize("exports_start", [True, False])
def test_a_gauge_holds(*, exports_start: bool) -> None:
    """Not a rollback for restarts."""
    held(gauge(cluster(1, pods(3, exports_start=exports_start))).watch())


def test_a_clock_that_is_set_is_no_restart() -> None:
    """NTP moves the start time that is worked out of it by three seconds, on every pod."""

    def change(selector: str, _labels: dict[str, str], samples: list[Sample]) -> list[Sample]:
        if selector != f"canary:{PROCESS_START}":
            return samples
        return [(stored, at, value + (3.0 if at - START >= 100 else 0.0)) for stored, at, value in samples]

    watch = sampled(cluster(1, pods(3)), change).watch()
    assert watch.decision.outcome.value == "promote", watch.decision.reasons
    assert not watch.counting.restarts


@pytest.mark.parametrize("exports_start", [True, False])
@pytest.mark.parametrize("share", [GOOD, 1.0])
def test_a_restart_that_counts_quickly_is_one(share: float, *, exports_start: bool) -> None:
    """Of a process with a long past; it comes back at once, good, or failing every request."""
    canary = pods(3, exports_start=exports_start)
    canary[0].restarts, canary[0].errors = (290.0,), ((-1e6, GOOD), (290.0, share))
    watch = cluster(1, canary).watch()
    assert watch.decision.outcome.value == ("promote" if share == GOOD else "rollback"), watch.decision.reasons
    assert len(watch.counting.restarts) == 1


@pytest.mark.parametrize("exports_start", [True, False])
def test_a_crash_loop_is_rolled_back(*, exports_start: bool) -> None:
    """Each minute, with and without start times."""
    canary = pods(5, exports_start=exports_start)
    canary[0].restarts = (120.0, 180.0, 240.0, 300.0)
    watch = cluster(1, canary).watch()
    assert watch.decision.outcome.value == "rollback", watch.decision.reasons
    assert "restarted 2 times" in watch.decision.reasons[0]
