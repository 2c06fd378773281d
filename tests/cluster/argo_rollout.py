"""Rollout of Argo for tests: the templates that are shipped, one release, and what the controller made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.cluster.cluster import APPS, ROLLOUTS, awaited
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster

SHIPPED: Final = REPOSITORY / "deploy" / "argo-rollouts"
NAME: Final = "judgment"
OLD, NEW = "registry.example.com/judgment:1.4.0", "registry.example.com/judgment:1.5.0"
PHASES: Final = {"promote": "Successful", "rollback": "Failed", "hold": "Inconclusive"}
"""Phase of the AnalysisRun by decision."""


def template(name: str, decision: str) -> dict[str, Any]:
    """A template as it is shipped, but polled every two seconds: a run of this stage takes a few.

    A hold is told from a run that works by the last poll only: where one is expected, it is the thirtieth.
    """
    made: dict[str, Any] = yaml.safe_load((SHIPPED / f"analysis-template-{name}.yaml").read_text(encoding="utf-8"))
    for metric in made["spec"]["metrics"]:
        if "interval" in metric:
            metric["interval"] = "2s"
        if decision == "hold" and metric["count"] > 1:
            assert metric["count"] == metric["inconclusiveLimit"]
            metric |= {"count": 30, "inconclusiveLimit": 30}
    return made


def rollout(namespace: str, template_name: str, arguments: dict[str, str]) -> dict[str, Any]:
    """A Rollout of two pods, one of which is the canary while the analysis is asked."""
    given: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in arguments.items()]
    if "server" in arguments:
        given.append({"name": "checksum", "valueFrom": {"podTemplateHashValue": "Latest"}})
    analysis = {"templates": [{"templateName": template_name}], "args": given}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {"containers": [{"name": NAME, "image": OLD}]},
            },
            "strategy": {"canary": {"steps": [{"setWeight": 50}, {"analysis": analysis}]}},
        },
    }


def status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The status of the Rollout."""
    return cluster.status(ROLLOUTS, "rollouts", NAME, namespace)


def released(cluster: Cluster, namespace: str) -> str:
    """Release the new image; the hash of the pods that served before."""
    stable = awaited(
        lambda: found if (found := status(cluster, namespace)).get("phase") == "Healthy" else None, "the first release"
    )["stableRS"]
    cluster.set_image(ROLLOUTS, "rollouts", NAME, namespace, NEW)
    awaited(lambda: status(cluster, namespace).get("currentPodHash") != stable, "the new release")
    return str(stable)


def pods_by_hash(cluster: Cluster, namespace: str) -> dict[str, int]:
    """How many pods of each release are wanted."""
    sets = cluster.all(APPS, "replicasets", namespace)
    wanted = {each["metadata"]["labels"]["rollouts-pod-template-hash"]: each["spec"]["replicas"] for each in sets}
    return {name: count for name, count in wanted.items() if count}
