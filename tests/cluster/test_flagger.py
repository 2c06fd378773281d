"""Flagger, the real controller: the canary that is shipped, and the verdicts of real runs.

Without a mesh Flagger shifts no traffic (its provider is `kubernetes`): the canary runs beside the primary for one
iteration, and the hooks are asked as with one. All three are under way at once: Flagger asks every ten seconds.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from tests.cluster.cluster import APPS, CANARIES, awaited
from tests.cluster.served_project import ANOTHER, DECISIONS, STAGE
from tests.support.gate_server import plain
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster
    from tests.cluster.served_project import ServedProject

NAME: Final = "judgment"
OLD, NEW = "registry.example.com/judgment:1.4.0", "registry.example.com/judgment:1.5.0"


def namespace_of(decision: str) -> str:
    """Where the canary whose promotion is decided so lives."""
    return f"flagger-{decision}"


def canary(gate: ServedProject, decision: str) -> dict[str, Any]:
    """The canary as it is shipped, at its shortest interval, without a mesh; its hooks ask the server that runs."""
    text = (REPOSITORY / "deploy" / "flagger" / "canary.yaml").read_text(encoding="utf-8")
    for shipped, here in {
        "https://opsverify.opsverify.svc:8470": gate.url,
        "/TOKEN/": f"/{plain('hooks')}/",
        "/staging/staging/": f"/{STAGE}/{ANOTHER}/",
        "/prod-canary/production/": f"/{STAGE}/{decision}/",
    }.items():
        assert shipped in text
        text = text.replace(shipped, here)
    made: dict[str, Any] = yaml.safe_load(text)
    made["metadata"]["namespace"] = namespace_of(decision)
    made["spec"]["provider"] = "kubernetes"
    analysis = made["spec"]["analysis"]
    del analysis["maxWeight"], analysis["stepWeight"]
    analysis |= {"interval": "10s", "iterations": 1}
    for webhook in analysis["webhooks"]:
        webhook.pop("metadata", None)  # a window: this stage has none
    return made


def deployment(namespace: str) -> dict[str, Any]:
    """What is released."""
    pod = {"containers": [{"name": NAME, "image": OLD, "ports": [{"name": "http", "containerPort": 8080}]}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {"metadata": {"labels": {"app": NAME}}, "spec": pod},
        },
    }


@pytest.fixture(scope="module")
def canaries(flagger: Cluster, gate: ServedProject) -> Cluster:
    """Release a new image in each namespace, once Flagger has taken the old one over."""
    for decision in DECISIONS:
        namespace = flagger.namespace(namespace_of(decision))
        flagger.apply(deployment(namespace), canary(gate, decision))
    for decision in DECISIONS:
        awaited(partial(_is_initialized, flagger, decision), f"the primary of {decision}")
        flagger.set_image(APPS, "deployments", NAME, namespace_of(decision), NEW)
    return flagger


def phase(cluster: Cluster, decision: str) -> str:
    """The phase of a canary."""
    return str(cluster.status(CANARIES, "canaries", NAME, namespace_of(decision)).get("phase", ""))


def _is_initialized(cluster: Cluster, decision: str) -> bool:
    return phase(cluster, decision) == "Initialized"


def serving(cluster: Cluster, decision: str) -> str:
    """The image that users reach."""
    return cluster.image(f"{NAME}-primary", namespace_of(decision))


def decided(gate: ServedProject, decision: str) -> dict[str, Any]:
    """The run that the promotion of a canary asked for, once it has ended."""

    def ended() -> dict[str, Any] | None:
        run = gate.run_for(namespace_of(decision), decision)
        return run if run and run["state"] == "finished" else None

    run: dict[str, Any] = awaited(ended, f"the run on {decision}")
    assert run["decision"] == decision
    return run


def test_a_promotion_is_carried_out(canaries: Cluster, gate: ServedProject) -> None:
    """Both confirm hooks were asked, each verdict is a run of its own for this checksum, and the primary is new."""
    awaited(lambda: phase(canaries, "promote") == "Succeeded", "the promotion")
    assert serving(canaries, "promote") == NEW
    assert decided(gate, "promote")["answer"] == "promote"
    namespace = namespace_of("promote")
    for hook in ("Confirm-rollout", "Confirm-promotion"):
        assert canaries.events(namespace, f"{hook} check") > 0
    assert not canaries.events(namespace, "Rolling back")


def test_a_rollback_is_carried_out(canaries: Cluster, gate: ServedProject) -> None:
    """The rollback hook says yes by the verdict of the promotion: the primary is what it was, the canary is gone."""
    awaited(lambda: phase(canaries, "rollback") == "Failed", "the rollback")
    assert decided(gate, "rollback")["answer"] == "rollback"
    assert serving(canaries, "rollback") == OLD
    assert canaries.events(namespace_of("rollback"), "Rolling back judgment.flagger-rollback manual webhook invoked")
    assert canaries.get(APPS, "deployments", NAME, namespace_of("rollback"))["spec"]["replicas"] == 0


def test_a_hold_waits_for_a_person(canaries: Cluster, gate: ServedProject) -> None:
    """Asked again and again it stays where it is, and nothing is run anew; it goes on once a person has approved."""
    run = decided(gate, "hold")
    namespace, asked = namespace_of("hold"), "not signaling a rollback"
    before = canaries.events(namespace, asked)
    awaited(lambda: canaries.events(namespace, asked) >= before + 2, "two more rounds of hooks")
    assert phase(canaries, "hold") == "WaitingPromotion"
    assert serving(canaries, "hold") == OLD
    gate.call("POST", f"/v1/runs/{run['id']}/approval", {"who": "Kim", "why": "looked at it"}, token="approver")
    awaited(lambda: phase(canaries, "hold") == "Succeeded", "the promotion after the approval")
    assert serving(canaries, "hold") == NEW
    assert decided(gate, "hold")["id"] == run["id"]
