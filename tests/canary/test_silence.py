"""Silence of a canary: scraped, and counting nothing while it should."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from opsverify.canary.decision import GateOutcome
from opsverify.canary.policy import Policy
from opsverify.canary.window_setup import LATER_SETTINGS, PROCESS_START, UP
from tests.canary.changed_series import changed
from tests.canary.cluster import START, Cluster, Pod, pods

if TYPE_CHECKING:
    from collections.abc import Iterable

Sample = tuple[float, float, float]


def frozen(cluster: Cluster, pod: str, begin: float, end: float = math.inf) -> Cluster:
    """The cluster, with the counters of pods whose name begins so standing still from a second on."""

    def change(
        selector: str, labels: dict[str, str], samples: list[Sample]
    ) -> Iterable[tuple[dict[str, str], list[Sample]]]:
        if selector.partition(":")[2] in (UP, PROCESS_START) or not labels["instance"].startswith(pod):
            return [(labels, samples)]
        still = max((value for _, at, value in samples if at <= START + begin), default=0.0)
        return [
            (labels, [(stored, at, still if begin < at - START <= end else value) for stored, at, value in samples])
        ]

    return changed(cluster, change)


def platform(number: int = 3, rate: float = 10.0, **change: object) -> Cluster:
    """Canary and baseline, healthy."""
    rates = {"canary": rate, "baseline": 40.0}
    return Cluster([*pods(number), *pods(3, "baseline")], rates=rates, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("begin", [60, 300, 480, 540])
def test_a_canary_that_hangs_is_not_promoted(number: int, begin: float) -> None:
    """What it counted before is no proof of what it does now."""
    decision = frozen(platform(number), "canary", begin).watch().decision
    assert decision.outcome is GateOutcome.HOLD, decision.reasons
    assert "the canary counted nothing for" in decision.reasons[0]
    assert "its metrics stand still" in decision.reasons[0]


def test_one_pod_that_hangs_is_named() -> None:
    """Its requests went nowhere: the other two serve what they served before."""
    decision = frozen(platform(), "canary-1", 200).watch().decision
    assert decision.outcome is GateOutcome.HOLD, decision.reasons
    assert "requests: canary-1:80 counted nothing for" in decision.reasons[0]


def test_a_breach_that_was_proven_before_rolls_back() -> None:
    """What was counted stays valid."""
    made = frozen(platform(errors={"canary": ((0, 0.003), (120, 0.3)), "baseline": 0.003}), "canary", 240)
    assert made.watch().decision.outcome is GateOutcome.ROLLBACK


def test_a_pause_that_is_over_is_no_silence() -> None:
    """Counters that go on have counted what happened meanwhile."""
    decision = frozen(platform(), "canary", 200, 320).watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons


def test_a_pod_that_is_drained_has_its_traffic_taken_over() -> None:
    """It is scraped until it ends, and the others serve what it served."""
    made = platform()
    drained = made.trials["canary-2"]
    late = slice(int(400 - made.seconds[0]), None)
    for pod in ("canary-0", "canary-1"):
        made.trials[pod] = made.trials[pod].copy()
        made.trials[pod][late] += drained[late] // 2
    made.trials["canary-0"][late] += drained[late] % 2
    made.trials["canary-2"] = drained.copy()
    made.trials["canary-2"][late] = 0
    for pod in made.trials:
        made.bad[pod] = made.bad[pod].clip(max=made.trials[pod])
        made.slow_ones[pod] = made.slow_ones[pod].clip(max=made.trials[pod])
    made.count()
    decision = made.watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons


def test_traffic_that_ends_everywhere_is_no_silence() -> None:
    """A shift ends: the baseline counts nothing either."""
    decision = frozen(frozen(platform(), "canary", 560), "baseline", 560).watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_a_quiet_line_is_not_silent(rate: float) -> None:
    """A request every few seconds: pauses are usual, and no twenty are missing."""
    for seed in range(3):
        watch = platform(rate=rate, seed=seed).watch()
        assert not any("counted nothing for" in reason for reason in watch.decision.reasons), watch.decision.reasons


def test_an_exporter_that_refreshes_every_minute_is_usual() -> None:
    """Its counters stand still for three scrapes of four."""

    def change(
        selector: str, labels: dict[str, str], samples: list[Sample]
    ) -> Iterable[tuple[dict[str, str], list[Sample]]]:
        if not selector.startswith("canary:") or selector.endswith(UP):
            return [(labels, samples)]
        old = [samples[max(0, number - number % 4)] for number in range(len(samples))]
        return [(labels, [(s, at, was[2]) for (s, at, _), was in zip(samples, old, strict=True)])]

    decision = changed(platform(1), change).watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons


def test_windows_of_before_are_replayed_as_they_were_decided() -> None:
    """Without the setting that their header lacks."""
    made = frozen(platform(policy=Policy(**LATER_SETTINGS)), "canary", 480)
    assert made.watch().decision.outcome is GateOutcome.PROMOTE


def test_a_pod_that_ends_is_not_silent() -> None:
    """It is gone, and its traffic with the others."""
    made = Cluster([*pods(2), Pod("canary-9", died=300.0, offset=7), *pods(3, "baseline")])
    assert made.watch().decision.outcome is GateOutcome.PROMOTE
