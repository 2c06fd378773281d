"""Explanation of a decision: its course, its events, and what would have changed it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.canary.assessment import CriterionState
from opsverify.canary.decision import GateOutcome
from opsverify.canary.explain import explain
from opsverify.canary.observation import NAME, ObservedStep, read_observation
from opsverify.canary.observer import Observer
from opsverify.canary.sensitivity import Sensitivity
from opsverify.canary.sparkline import lines, sparkline
from opsverify.canary.trace import EventKind, trace
from opsverify.canary.window_setup import Setup
from opsverify.config.model import PrometheusConfig
from opsverify.errors import EvidenceError
from opsverify.probes.prometheus import Prometheus
from tests.canary.cluster import Cluster, Source, pods, serving
from tests.canary.situations import BAD, GOOD, cluster, replaced
from tests.support.http_double import ANSWER_WITHIN_S

if TYPE_CHECKING:
    from pathlib import Path


def recorded(world: Cluster, folder: Path, **verdict: Any) -> Path:  # noqa: ANN401 - fields of verdict.json
    """The folder of a run that observed this cluster."""
    kept: list[str] = []
    Observer(Source(world), world.clock, lambda _: None, kept.append).observe(world.setup)  # type: ignore[arg-type]
    with gzip.open(folder / NAME, "wt", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in kept)
    if verdict:
        (folder / "verdict.json").write_text(json.dumps(verdict), encoding="utf-8")
    return folder


def test_the_course_of_a_window_with_a_pod_replaced(tmp_path: Path) -> None:
    """Every step has a point, pods that come and go are events, and the decision is the last one."""
    found = trace(*read_observation(recorded(cluster(1, replaced()), tmp_path) / NAME))
    assert found.decision.outcome is GateOutcome.PROMOTE
    (errors,) = found.criteria
    assert len(errors.points) == found.watch.steps
    assert errors.since(CriterionState.BELOW_PROVEN) is not None
    kinds = [event.kind for event in found.events]
    assert {EventKind.CAME, EventKind.WENT} <= set(kinds)
    assert kinds[-1] is EventKind.DECISION
    assert all(0 <= event.at_s <= found.length_s for event in found.events)
    shown = list(lines(found))
    assert any("-" in line and "D" in line for line in shown if line.startswith("  events"))
    assert sum("canary-new" in line for line in shown) == 1


def test_restart_gap_and_alert_are_events() -> None:
    """Each kind of event is found where it was."""
    canary = pods(3, restarts=(130.0,))
    canary[1].unscraped = ((60.0, 180.0),)
    canary[1].restarts = canary[2].restarts = ()
    world = cluster(2, canary, alerts=(("Slow", 200.0, 400.0),), outages=((30.0, 50.0),))
    kept: list[Any] = []
    Observer(Source(world), world.clock, lambda _: None, kept.append).observe(world.setup)  # type: ignore[arg-type]
    setup, *steps = kept
    found = trace(Setup.loads(setup), [ObservedStep.loads(step) for step in steps])
    at = {event.kind: event.at_s for event in found.events}
    assert {EventKind.RESTART, EventKind.GAP, EventKind.ALERT, EventKind.DECISION} <= at.keys()
    assert at[EventKind.ALERT] == pytest.approx(210, abs=15)


@pytest.mark.parametrize("errors", [GOOD, BAD], ids=["promoted", "rolled back"])
def test_the_number_that_changes_the_decision_is_the_smallest(errors: float, tmp_path: Path) -> None:
    """Applied to the gate's own rule, so many more or fewer bad ones change the outcome, and one less does not."""
    found = trace(*read_observation(recorded(cluster(3, pods(3), errors), tmp_path) / NAME))
    sensitivity = Sensitivity(found.watch)
    sign = 1 if found.decision.outcome is GateOutcome.PROMOTE else -1
    fewest = sensitivity.fewest(0, sign)
    assert fewest is not None
    count, outcome = fewest
    assert outcome is not found.decision.outcome
    assert sensitivity.with_more_bad(0, sign * count) is outcome
    assert sensitivity.with_more_bad(0, sign * (count - 1)) is found.decision.outcome
    assert sensitivity.with_more_bad(0, 0) is found.decision.outcome


def test_explained_in_both_languages(tmp_path: Path) -> None:
    """First that the run's decision is reproduced, then what decided when, then what would have changed it."""
    folder = recorded(cluster(3, pods(3)), tmp_path, decision="promote", checks=[])
    _, said = explain(folder)
    assert "counts and decision are those of the run (promote)" in said[0]
    assert any("decided by the shortest window" in line for line in said)
    assert any("more bad ones" in line for line in said)
    assert any("승격" in getattr(line, "ko", "") for line in said)


def test_an_alert_that_decided_is_named(tmp_path: Path) -> None:
    """Without the alert the canary would have been watched on."""
    world = cluster(3, pods(3), alerts=(("Slow", 100.0, 900.0),))
    _, said = explain(recorded(world, tmp_path))
    assert any(line.startswith("without the alerts: watched on") for line in said)


@pytest.mark.parametrize(
    "verdict",
    [
        {"decision": "promote", "checks": []},
        {"decision": "rollback", "checks": [{"id": "canary.error_rate", "measured": 0.5, "samples": 12}]},
    ],
    ids=["decision", "counts"],
)
def test_another_decision_than_the_replay_is_refused(verdict: dict[str, Any], tmp_path: Path) -> None:
    """What the evidence does not give is not explained."""
    folder = recorded(cluster(3, pods(3), BAD), tmp_path, **verdict)
    with pytest.raises(EvidenceError, match="does not give the run's decision"):
        explain(folder)


def test_sparkline() -> None:
    """One character a value, full from the highest on, a dot for none; many values keep the last of each part."""
    assert sparkline([0.0, 0.5, 1.0, 9.0, None], 1.0) == "▁▄██·"
    assert len(sparkline([0.1] * 500, 1.0, 60)) == 60


def test_the_live_display_has_a_sparkline_for_each_criterion() -> None:
    """Over real HTTP: every shown line names the criterion with its course."""
    world = cluster(3, pods(3))
    shown: list[str] = []
    with serving(world) as url, Prometheus(PrometheusConfig(url=url, timeout_s=ANSWER_WITHIN_S)) as prometheus:
        observer = Observer(prometheus, world.clock, shown.append, lambda _: None, look_within_s=ANSWER_WITHIN_S)
        observer.observe(world.setup)
    assert any("█" in line for line in shown if "error_rate" in line)
