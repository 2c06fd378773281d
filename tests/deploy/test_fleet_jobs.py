"""Jobs of a fleet: a pod for each unit, none of which is repeated or ends the others, and one that merges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from opsverify.evidence.origin import starter
from opsverify.fleet.plan import FLEET_PLAN
from tests.support.manifests import DEPLOY, documents, pods

if TYPE_CHECKING:
    from tests.support.manifests import PodOf

FILES: Final = ("fleet-indexed-job.yaml", "fleet-merge-job.yaml")
PLAN: Final = f"reports/fleets/latest/{FLEET_PLAN}"


def job(file: str) -> dict[str, Any]:
    """The only object of a file."""
    (only,) = documents(DEPLOY / "kubernetes" / file)
    return dict(only)


@pytest.fixture(params=FILES)
def pod(request: pytest.FixtureRequest) -> PodOf:
    """The pod of each Job."""
    (only,) = pods([job(str(request.param))])
    return only


def test_each_index_fails_alone_and_once() -> None:
    """FailIndex for every exit code but 0 and for a lost node; a limit for all indexes would end the other units."""
    spec = job(FILES[0])["spec"]
    assert (spec["completionMode"], spec["backoffLimitPerIndex"]) == ("Indexed", 0)
    assert not {"backoffLimit", "maxFailedIndexes", "ttlSecondsAfterFinished"} & set(spec)
    by_code, by_condition = spec["podFailurePolicy"]["rules"]
    assert by_code == {
        "action": "FailIndex", "onExitCodes": {"containerName": "opsverify", "operator": "NotIn", "values": [0]},
    }  # fmt: skip
    assert by_condition == {"action": "FailIndex", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert spec["activeDeadlineSeconds"] > 0


def test_the_merge_is_not_repeated_either() -> None:
    """Its exit code is the fleet's."""
    spec = job(FILES[1])["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] > 0


def test_units_and_merge_read_the_same_plan() -> None:
    """By the link that `opsverify fleet --plan-only` makes; the unit is the index that Kubernetes sets."""
    words = [pods([job(file)])[0].container["command"] for file in FILES]
    assert words[0] == ["opsverify", "fleet", PLAN, "--unit=$(JOB_COMPLETION_INDEX)"]
    assert words[1][:3] == ["opsverify", "merge", PLAN]


def test_a_units_evidence_names_fleet_and_pod() -> None:
    """Also where Kubernetes' own variables are set: the fleet comes first."""
    by = starter({
        "KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "opsverify-fleet-2-x7k", "JOB_COMPLETION_INDEX": "2",
        "OPSVERIFY_FLEET": "f", "OPSVERIFY_FLEET_PLAN": "p", "OPSVERIFY_FLEET_UNIT": "2",
    })  # fmt: skip
    assert by == {"pipeline": "OPSVERIFY_FLEET", "run": "f", "plan": "p", "unit": "2", "job": "opsverify-fleet-2-x7k"}


def test_pods_are_restricted(pod: PodOf) -> None:
    """As those of the calendar: no restart, no root, nothing escalates, nothing but two volumes can be written."""
    assert pod.spec["restartPolicy"] == "Never"
    assert pod.spec["automountServiceAccountToken"] is False
    assert pod.spec["enableServiceLinks"] is False
    assert pod.spec["securityContext"]["runAsNonRoot"] is True
    assert pod.container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {mount["name"]: mount["mountPath"] for mount in pod.container["volumeMounts"]} == {
        "project": "/project", "tmp": "/tmp",  # noqa: S108 - in a container
    }  # fmt: skip
    assert "memory" in pod.container["resources"]["limits"]
