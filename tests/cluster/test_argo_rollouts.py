"""Argo Rollouts, the real controller: the template that is shipped, and the verdicts of real runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.argo_rollout import NAME, PHASES, pods_by_hash, released, rollout, status, template
from tests.cluster.cluster import ROLLOUTS, awaited
from tests.cluster.served_project import DECISIONS, STAGE
from tests.support.gate_server import plain

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster
    from tests.cluster.served_project import ServedProject


@pytest.mark.parametrize("decision", DECISIONS)
def test_the_controller_does_what_the_verdict_says(argo_rollouts: Cluster, gate: ServedProject, decision: str) -> None:
    """Promote: the rollout goes on to its end. Rollback: it is aborted. Hold: it is paused, its canary stays."""
    namespace = argo_rollouts.namespace(f"argo-{decision}")
    argo_rollouts.kubectl(
        "create", "secret", "generic", "opsverify-argo", f"--from-literal=token={plain('hooks')}", "-n", namespace
    )
    made = template("web", decision)
    made["metadata"]["namespace"] = namespace
    arguments = {"server": gate.url, "stage": STAGE, "target": decision, "name": NAME, "namespace": namespace}
    argo_rollouts.apply(made, rollout(namespace, "opsverify-web", arguments))
    stable = released(argo_rollouts, namespace)

    def ended() -> dict[str, Any] | None:
        now = status(argo_rollouts, namespace)
        reasons = [each["reason"] for each in now.get("pauseConditions", ())]
        done = {
            "promote": now["phase"] == "Healthy" and now["stableRS"] != stable,
            "rollback": now["phase"] == "Degraded" and now.get("abort"),
            "hold": now["phase"] == "Paused" and "InconclusiveAnalysisRun" in reasons,
        }
        return now if done[decision] else None

    now = awaited(ended, f"the end of the rollout: {decision}")
    (analysis,) = argo_rollouts.all(ROLLOUTS, "analysisruns", namespace)
    assert analysis["status"]["phase"] == PHASES[decision]
    assert not analysis["status"]["metricResults"][0].get("error", 0), "an answer that is no decision is no error"
    run = gate.run_for(namespace, decision)
    assert run is not None
    assert (run["decision"], run["release"]["checksum"]) == (decision, now["currentPodHash"])
    new = now["currentPodHash"]
    expected = {"promote": {new: 2}, "rollback": {stable: 2}, "hold": {stable: 1, new: 1}}
    awaited(lambda: pods_by_hash(argo_rollouts, namespace) == expected[decision], "the pods")
