"""Argo Rollouts, the real controller, and the template of a Job: promote goes on, rollback and hold abort.

The Job's pod is made, scheduled and started by the cluster; its command is run by the test, as a node would, and the
exit code becomes the end of the pod.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.argo_rollout import PHASES, pods_by_hash, released, rollout, status, template
from tests.cluster.cluster import CORE, ROLLOUTS, awaited, bound_claim
from tests.cluster.control_plane import BY_HAND
from tests.cluster.served_project import DECISIONS, STAGE

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster
    from tests.cluster.served_project import ServedProject


def labelled(made: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The template in a namespace, with the label by which the end of its pod is left to the test."""
    made["metadata"]["namespace"] = namespace
    pod = made["spec"]["metrics"][0]["provider"]["job"]["spec"]["template"]
    pod["metadata"] = {"labels": {BY_HAND: "true"}}
    return made


def run_as_a_node(cluster: Cluster, gate: ServedProject, namespace: str) -> int:
    """Run the command of the Job's pod in the project that its volume has, and end the pod as it ended."""

    def started() -> dict[str, Any] | None:
        pods = [each for each in cluster.all(CORE, "pods", namespace) if BY_HAND in each["metadata"]["labels"]]
        return next((each for each in pods if each["status"]["phase"] == "Running"), None)

    pod = awaited(started, "the pod of the Job")
    container = pod["spec"]["containers"][0]
    program, *arguments = container["command"]
    assert (program, container["workingDir"]) == ("opsverify", "/project")
    done = subprocess.run(
        [sys.executable, "-m", "opsverify", *arguments], cwd=gate.folder, capture_output=True, check=False, timeout=300
    )
    end = {"exitCode": done.returncode, "reason": "Error" if done.returncode else "Completed"}
    ended = {**pod["status"]["containerStatuses"][0], "ready": False, "state": {"terminated": end}}
    phase = "Failed" if done.returncode else "Succeeded"
    cluster.set_status(CORE, "pods", pod["metadata"]["name"], namespace, phase=phase, containerStatuses=[ended])
    return done.returncode


@pytest.mark.parametrize("decision", DECISIONS)
def test_the_exit_code_of_the_command_decides(argo_rollouts: Cluster, gate: ServedProject, decision: str) -> None:
    """One pod, run once: 0 goes on; 1 and 10 abort, as the template's first lines say of a hold."""
    namespace = argo_rollouts.namespace(f"argo-job-{decision}")
    argo_rollouts.apply(*bound_claim("opsverify-project", namespace))
    arguments = {"stage": STAGE, "target": decision, "window": "20m"}
    argo_rollouts.apply(labelled(template("job", decision), namespace), rollout(namespace, "opsverify-job", arguments))
    stable = released(argo_rollouts, namespace)
    code = run_as_a_node(argo_rollouts, gate, namespace)
    assert code == {"promote": 0, "rollback": 1, "hold": 10}[decision]

    def ended() -> dict[str, Any] | None:
        now = status(argo_rollouts, namespace)
        new = now["phase"] == "Healthy" and now["stableRS"] != stable
        return now if new or (now["phase"] == "Degraded" and now.get("abort")) else None

    now = awaited(ended, f"the end of the rollout: {decision}")
    (analysis,) = argo_rollouts.all(ROLLOUTS, "analysisruns", namespace)
    assert analysis["status"]["phase"] == ("Failed" if code else PHASES["promote"])
    left = {stable: 2} if code else {now["currentPodHash"]: 2}
    awaited(lambda: pods_by_hash(argo_rollouts, namespace) == left, "the pods")
    pods = [each for each in argo_rollouts.all(CORE, "pods", namespace) if BY_HAND in each["metadata"]["labels"]]
    assert len(pods) == 1, "red is not repeated"
