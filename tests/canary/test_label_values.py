"""Label values that a new release writes: what its selector does not pick is not good for that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from opsverify.canary.decision import GateOutcome
from opsverify.canary.label_values import with_known_values
from opsverify.canary.observer import with_meanings
from opsverify.canary.policy import Policy
from opsverify.canary.window_policy import setup_of
from opsverify.canary.window_setup import LATER_SETTINGS, Setup
from opsverify.probes.prometheus import Prometheus
from tests.canary.changed_series import changed
from tests.canary.cluster import ERRORS, Cluster, pods
from tests.canary.named_cluster import NamedCluster, serving, target_at
from tests.canary.named_criteria import ERRORS as NAMED_ERRORS
from tests.canary.named_criteria import simulated

if TYPE_CHECKING:
    from collections.abc import Iterable

Sample = tuple[float, float, float]


def renamed(value: str, errors: float, *, kept: int = 0, policy: Policy | None = None) -> Cluster:
    """A cluster whose canary writes another status for all of its failures, or for all but one of so many."""
    made = Cluster(
        [*pods(2), *pods(3, "baseline")],
        errors={"canary": errors, "baseline": 0.003},
        policy=policy or Policy(),
    )

    def change(
        selector: str, labels: dict[str, str], samples: list[Sample]
    ) -> Iterable[tuple[dict[str, str], list[Sample]]]:
        if labels.get("code") != "500" or not selector.startswith("canary:"):
            return [(labels, samples)]
        old = [(stored, at, total // kept if kept else 0) for stored, at, total in samples]
        new = [(stored, at, total - was) for (stored, at, total), (_, _, was) in zip(samples, old, strict=True)]
        if selector == "canary:request_errors":
            return [(labels, old)] if kept else []
        return [*([(labels, old)] if kept else []), (labels | {"code": value}, new)]

    return changed(made, change)


@pytest.mark.parametrize("value", ["ISE", "5xx", "503", ""])
@pytest.mark.parametrize(("errors", "kept"), [(0.3, 0), (0.1, 20)], ids=["all", "most"])
def test_a_value_that_the_baseline_never_had_holds_and_is_named(value: str, errors: float, kept: int) -> None:
    """The selector does not pick it: good or bad? Also beside failures that it does pick."""
    decision = renamed(value, errors, kept=kept).watch().decision
    assert decision.outcome is GateOutcome.HOLD, decision.reasons
    named = value or '""'
    assert f"with code = {named}, which the baseline never had" in decision.reasons[0]
    assert "prometheus.signals.request_errors, or count the good ones (prometheus.signals.request_good)" in str(
        decision.reasons[0]
    )


@pytest.mark.parametrize("value", ["404", "302", "4xx"])
def test_an_http_status_below_500_is_understood(value: str) -> None:
    """The baseline had none in the window: no server error is meant by it."""
    decision = renamed(value, 0.1).watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons


def test_a_breach_of_what_is_picked_rolls_back_beside_it() -> None:
    """Whatever the new value means, the failures that are seen are enough."""
    decision = renamed("ISE", 0.3, kept=2).watch().decision
    assert decision.outcome is GateOutcome.ROLLBACK, decision.reasons


def test_a_value_of_next_to_nothing_is_left_alone() -> None:
    """A tenth of what the limit allows changes no decision."""
    decision = renamed("ISE", 0.0005).watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons


def test_a_value_of_the_days_before_is_known() -> None:
    """The baseline had it, but not in the window."""
    made = renamed("ISE", 0.05)
    made.counted = (replace(ERRORS, seen=(("code", "200"), ("code", "ISE"))),)
    decision = made.watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons


def test_without_a_baseline_nothing_is_usual() -> None:
    """No value of the label is known by which the canary's could be judged."""
    made = renamed("ISE", 0.05)
    made.series = {name: {} if name.startswith("baseline:") else found for name, found in made.series.items()}
    decision = made.watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons


def test_windows_of_before_are_replayed_as_they_were_decided() -> None:
    """Without the setting that their header lacks."""
    decision = renamed("ISE", 0.3, policy=Policy(**LATER_SETTINGS)).watch().decision
    assert decision.outcome is GateOutcome.PROMOTE, decision.reasons


def test_values_of_the_days_before_are_asked_of_the_baseline_and_kept() -> None:
    """One query for each label, answered or not; the header of the window has them."""
    with serving(NamedCluster(simulated())) as url:
        target = target_at(url, {})
        assert target.prometheus is not None
        with Prometheus(target.prometheus) as prometheus:
            setup = setup_of(target, 600.0, (NAMED_ERRORS,))
            setup = with_known_values(prometheus, with_meanings(prometheus, target.prometheus.signals, setup, 1.5))
    assert setup.counted[0].seen == (("code", "200"), ("code", "500"))
    assert Setup.loads(setup.dumps()) == setup
    target = target_at("http://127.0.0.1:1", {})
    assert target.prometheus is not None
    with Prometheus(target.prometheus) as prometheus:
        setup = with_known_values(prometheus, setup_of(target, 600.0, (NAMED_ERRORS,)))
    assert setup.counted[0].seen == ()
