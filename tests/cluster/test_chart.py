"""Chart and other objects on a real API server: installed, upgraded, tested, taken back, uninstalled.

No container runs: kwok marks the server's pod as ready, and the pods of Jobs and of `helm test` as ended with 0. Shown
is that API server, admission ("restricted" pods only), scheduler and controllers take every object and make of it what
the chart says; what the commands in the containers do is shown by `tests/deploy/test_chart_runs.py` and
`tests/deploy/test_image_build.py`.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from tests.cluster.cluster import APPS, BATCH, CORE, RESTRICTED, awaited, volume
from tests.support.chart_release import ChartRelease
from tests.support.helm import CHART, RELEASE
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.cluster import Cluster

NAMESPACE: Final = "verification"
SERVER: Final = f"{RELEASE}-opsverify"
STAGES: Final = ("daily", "weekly", "monthly", "quarterly", "ledger", "rehearsal")
PUBLISHED: Final = (
    "--set=serve.ingress.enabled=true", "--set=serve.ingress.host=gate.example.com",
    "--set=serve.ingress.tlsSecret=opsverify-tls",
)  # fmt: skip
EVERY_MINUTE: Final = "--set=schedule.jobs.daily.schedule=* * * * *"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> ChartRelease:
    """A release with one target, over TLS."""
    return ChartRelease(tmp_path_factory.mktemp("release"), tls=True)


@pytest.fixture(scope="module")
def installed(cluster: Cluster, release: ChartRelease) -> Cluster:
    """Install the chart where only "restricted" pods may be, and wait until it is ready."""
    cluster.namespace(NAMESPACE, RESTRICTED)
    secrets: dict[str, dict[str, str]] = {**release.secrets, "opsverify-secrets": {"SERVICE_TOKEN": "s"}}
    cluster.apply(
        volume("evidence", "20Gi", "ReadWriteMany"),
        volume("scratch", "50Gi", "ReadWriteOnce"),
        *(
            {
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE},
                "data": {key: base64.b64encode(text.encode()).decode() for key, text in content.items()},
            }
            for name, content in secrets.items()
        ),
    )  # fmt: skip
    _helm(cluster, "install", release)
    return cluster


def _helm(cluster: Cluster, command: str, release: ChartRelease, *more: str) -> str:
    return cluster.helm(
        command, RELEASE, CHART, f"--namespace={NAMESPACE}", f"--values={release.root / 'values.yaml'}",
        "--wait", "--timeout=10m", *PUBLISHED, *more,
    )  # fmt: skip


def _command(cluster: Cluster) -> list[str]:
    pod = cluster.get(APPS, "deployments", SERVER, NAMESPACE)["spec"]["template"]["spec"]
    return list(pod["containers"][0]["command"])


def test_it_is_installed(installed: Cluster) -> None:
    """The server's pod is ready, its Service has it, the claim is bound, policies and ingress are there."""
    assert installed.status(APPS, "deployments", SERVER, NAMESPACE)["readyReplicas"] == 1
    slices = awaited(
        lambda: [
            each for each in installed.all("apis/discovery.k8s.io/v1", "endpointslices", NAMESPACE) if each["endpoints"]
        ],
        "the endpoints of the Service",
    )
    assert slices[0]["endpoints"][0]["conditions"]["ready"]
    assert installed.status(CORE, "persistentvolumeclaims", f"{SERVER}-reports", NAMESPACE)["phase"] == "Bound"
    policies = installed.all("apis/networking.k8s.io/v1", "networkpolicies", NAMESPACE)
    assert {each["metadata"]["name"] for each in policies} == {SERVER, f"{SERVER}-server"}
    (ingress,) = installed.all("apis/networking.k8s.io/v1", "ingresses", NAMESPACE)
    (rule,) = ingress["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/v1", "/live"]


def test_its_pods_have_no_rights_in_the_cluster(installed: Cluster) -> None:
    """Its service account may do what any may, as the API server itself says; its pods have no token of it."""
    assert installed.get(CORE, "serviceaccounts", SERVER, NAMESPACE)
    rights = [
        installed.kubectl(
            "auth", "can-i", "--list", f"--as=system:serviceaccount:{NAMESPACE}:{account}", "-n", NAMESPACE
        )
        for account in (SERVER, "default")
    ]
    assert rights[0] == rights[1]
    for pod in installed.all(CORE, "pods", NAMESPACE):
        assert not [each for each in pod["spec"]["volumes"] if "projected" in each], "a token of the cluster"


def test_helm_test_ends(installed: Cluster) -> None:
    """Its pod is admitted, started and awaited by Helm."""
    assert "Phase:          Succeeded" in installed.helm("test", RELEASE, f"--namespace={NAMESPACE}")


@pytest.mark.parametrize("stage", STAGES)
def test_a_cron_job_makes_its_job(installed: Cluster, stage: str) -> None:
    """The Job of each, started by hand, is scheduled with all its volumes and ends; one pod, no second try."""
    name = f"{SERVER}-{stage}-production"
    installed.kubectl("create", "job", f"by-hand-{stage}", f"--from=cronjob/{name}", "-n", NAMESPACE)
    awaited(
        lambda: installed.status(BATCH, "jobs", f"by-hand-{stage}", NAMESPACE).get("succeeded") == 1, f"the {stage} Job"
    )
    pods = [
        each for each in installed.all(CORE, "pods", NAMESPACE)
        if each["metadata"]["labels"].get("job-name") == f"by-hand-{stage}"
    ]  # fmt: skip
    assert len(pods) == 1
    assert pods[0]["spec"]["containers"][0]["command"][0] == "opsverify"


def test_upgraded_scheduled_and_taken_back(installed: Cluster, release: ChartRelease) -> None:
    """An upgrade replaces the server and the schedule, by which a Job starts; `helm rollback` brings both back."""
    before = _command(installed)
    _helm(installed, "upgrade", release, "--set=serve.atOnce=3", EVERY_MINUTE)
    assert "--at-once=3" in _command(installed)
    daily = f"{SERVER}-daily-production"

    def scheduled() -> bool:
        jobs = installed.all(BATCH, "jobs", NAMESPACE)
        owned = [each for each in jobs if each["metadata"]["name"].startswith(f"{daily}-")]
        return any(each["status"].get("succeeded") for each in owned)

    awaited(scheduled, "the Job of the schedule")
    installed.helm("rollback", RELEASE, "1", f"--namespace={NAMESPACE}", "--wait", "--timeout=10m")
    assert _command(installed) == before
    assert installed.get(BATCH, "cronjobs", daily, NAMESPACE)["spec"]["schedule"] == "10 6 * * *"
    history = json.loads(installed.helm("history", RELEASE, f"--namespace={NAMESPACE}", "--output=json"))
    assert [each["status"] for each in history] == ["superseded", "superseded", "deployed"]


def test_uninstalled_without_its_evidence(cluster: Cluster, tmp_path: Path) -> None:
    """`helm uninstall` leaves the claim with the reports, and nothing else."""
    namespace = cluster.namespace("uninstalled", RESTRICTED)
    cluster.apply(volume("kept", "20Gi", "ReadWriteMany"))
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump({"serve": {"tls": {"plainHttp": True}}}), encoding="utf-8")
    cluster.helm("install", "gone", CHART, f"--namespace={namespace}", f"--values={file}")
    cluster.helm("uninstall", "gone", f"--namespace={namespace}", "--wait", "--timeout=10m")
    (claim,) = cluster.all(CORE, "persistentvolumeclaims", namespace)
    assert "deletionTimestamp" not in claim["metadata"]
    for api, kind in ((APPS, "deployments"), (BATCH, "cronjobs"), (CORE, "services"), (CORE, "configmaps")):
        names = [each["metadata"]["name"] for each in cluster.all(api, kind, namespace)]
        assert names in ([], ["kube-root-ca.crt"]), kind


@pytest.mark.parametrize("folder", ["kubernetes", "argo-rollouts", "flagger"])
@pytest.mark.usefixtures("argo_rollouts")
def test_objects_are_taken_as_they_are_shipped(flagger: Cluster, folder: str) -> None:
    """Every file, unchanged, by the schemas of the server and of the controllers; no unknown field."""
    flagger.namespace("prod")
    flagger.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", REPOSITORY / "deploy" / folder)


def test_the_kustomize_base_is_taken(cluster: Cluster) -> None:
    """In a namespace for "restricted" pods, which the server's pod is."""
    cluster.namespace("opsverify", RESTRICTED)
    made = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-k", REPOSITORY / "deploy" / "kustomize")
    assert "deployment.apps/opsverify created" in made
    assert "Warning" not in made
