"""Objects of Kubernetes, of kustomize and of the chart: their schemas, and what they must mean."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import kubernetes_validate
import pytest

from opsverify.core.stages import STAGES
from tests.docs.command_line import refusal
from tests.support.manifests import DEPLOY, SETS, YAML, PodOf, documents, kinds, objects, pods, walk

VERSIONS: Final = tuple(f"1.{minor}" for minor in range(25, 38))
ENDS: Final = (VERSIONS[0], VERSIONS[-1])
WHOLE: Final = ("kustomize", "on")
"""Sets with every kind of object that there is."""
WITHOUT_SCHEMA: Final = (
    "argoproj.io/", "flagger.app/", "tekton.dev/", "kustomize.config.k8s.io/", "monitoring.coreos.com/",
)  # fmt: skip
"""Kinds whose schema is not here: what they mean is tested."""
BEFORE_LIMITS_PER_INDEX: Final = ("1.25", "1.26", "1.27", "1.28")
"""Versions in which `backoffLimitPerIndex` is missing or off: the Job of a fleet needs a later one."""
SCHEDULED: Final = {"verify daily", "verify weekly", "verify monthly", "verify quarterly", "ledger capture", "rehearse"}
WRITABLE: Final = {"/tmp", "/project", "/project/reports", "/scratch", "/dev/shm"}  # noqa: S108 - in a container
VARIABLES: Final = {"HOME": "/tmp", "TMPDIR": "/scratch", "AUTHORITY": "/etc/opsverify/authority/ca.crt"}  # noqa: S108
"""Every variable that an object may give a value to: all others come from Secrets."""


@cache
def of(name: str) -> list[dict[str, Any]]:
    """The objects of a set, made once."""
    return objects(name)


def runs_of(name: str) -> list[PodOf]:
    """Pods of a set that run opsverify."""
    return [pod for pod in pods(of(name)) if pod.container["command"][0] == "opsverify"]


@pytest.fixture(params=SETS)
def name(request: pytest.FixtureRequest) -> str:
    """Each set."""
    return str(request.param)


def test_every_version_that_has_a_schema_is_tried() -> None:
    """A package with newer schemas is noticed."""
    utils = kubernetes_validate.utils
    assert {utils.major_minor(each) for each in utils.all_versions()} == set(VERSIONS)


@cache
def _schema(file: str, version: str) -> object:
    return _READ(file, version)


_READ: Final = kubernetes_validate.utils.schema_contents


@pytest.mark.parametrize(
    ("name", "version"),
    [(name, version) for name in SETS for version in (VERSIONS if name in WHOLE else ENDS)],
)
def test_kubernetes_takes_every_object(name: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its schema, strictly; also the Job in an AnalysisTemplate. Sets that others hold: oldest and newest."""
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", _schema)  # it reads 1 MB anew for each object
    every = of(name)
    if name == "kustomize":
        every = [each for path in YAML for each in documents(path) if isinstance(each, dict) and "kind" in each]
        jobs = [table["job"]["spec"] for each in every for table in walk(each) if "spec" in table.get("job", ())]
        every += [{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": job} for job in jobs]
        assert len(jobs) == 1
    for each in every:
        by_index = "backoffLimitPerIndex" in each.get("spec", {})
        if not each["apiVersion"].startswith(WITHOUT_SCHEMA) and not (by_index and version in BEFORE_LIMITS_PER_INDEX):
            kubernetes_validate.validate(each, version, strict=True)


def test_red_is_never_repeated(name: str) -> None:
    """One try, no restart, never two at once, and a run without an end is ended."""
    for cron in kinds(of(name), "CronJob"):
        job = cron["spec"]["jobTemplate"]["spec"]
        assert job["backoffLimit"] == 0
        assert job["activeDeadlineSeconds"] > 0
        assert job["template"]["spec"]["restartPolicy"] == "Never"
        assert not {"podFailurePolicy", "completions", "parallelism", "ttlSecondsAfterFinished"} & set(job)
        assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    for pod in pods(of(name)):
        assert pod.spec.get("restartPolicy", "Always") == ("Always" if pod.owner["kind"] == "Deployment" else "Never")


def test_argos_job_is_never_repeated() -> None:
    """The Job in the AnalysisTemplate too."""
    template = documents(DEPLOY / "argo-rollouts" / "analysis-template-job.yaml")[0]
    (job,) = (table["job"]["spec"] for table in walk(template) if "job" in table)
    assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (0, "Never")


def test_every_stage_of_the_calendar_has_its_time(name: str) -> None:
    """Each once for a target, in a time zone that exists, by five fields; no two begin together."""
    crons = kinds(of(name), "CronJob")
    commands = [pod.container["command"] for pod in runs_of(name) if pod.owner["kind"] == "CronJob"]
    called = {" ".join(word for word in words[1:3] if not word.startswith("-")) for words in commands}
    assert called == (set() if name == "off" else SCHEDULED)
    assert len({cron["spec"]["schedule"] for cron in crons}) == len(called)
    for cron in crons:
        assert ZoneInfo(cron["spec"]["timeZone"])
        assert re.fullmatch(r"\d+( (\*|[\d,]+)){4}", cron["spec"]["schedule"])
        assert len(cron["metadata"]["name"]) <= 52


def test_commands_and_options_exist(name: str) -> None:
    """Opsverify's own parser takes every command, and every stage is one of ours."""
    runs = runs_of(name)
    assert len(runs) == {"on": 13, "off": 0}.get(name, 7)
    for pod in runs:
        words = [str(word) for word in pod.container["command"][1:]]
        assert words == pod.container["command"][1:], "every word of a command is text"
        assert refusal("opsverify", words) == "", pod.name
        assert words[0] != "verify" or words[1] in STAGES


def test_pods_are_restricted(name: str) -> None:
    """PodSecurity "restricted", and more: a number as user, a read-only root, no token of the cluster."""
    for pod in pods(of(name)):
        assert pod.spec["automountServiceAccountToken"] is False, pod.name
        assert pod.spec["enableServiceLinks"] is False, pod.name
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "shareProcessNamespace"} & set(pod.spec)
        account = pod.spec["securityContext"]
        assert account["runAsNonRoot"] is True
        assert account["runAsUser"] == account["fsGroup"] == 10001
        assert account["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {"cpu", "memory"} <= set(pod.container["resources"]["requests"])
        assert "memory" in pod.container["resources"]["limits"]
        kept = {"configMap", "emptyDir", "ephemeral", "persistentVolumeClaim", "secret"}
        assert all(set(volume) - {"name"} <= kept for volume in pod.spec["volumes"])


def test_only_what_must_be_written_can_be(name: str) -> None:
    """Temporary files and evidence; a mount for every volume, and a volume for every mount."""
    for pod in pods(of(name)):
        mounts = pod.container["volumeMounts"]
        assert {mount["name"] for mount in mounts} == {volume["name"] for volume in pod.spec["volumes"]}, pod.name
        assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
        assert {mount["mountPath"] for mount in mounts if not mount.get("readOnly")} <= WRITABLE
        assert "/tmp" in {mount["mountPath"] for mount in mounts}  # noqa: S108 - in a container


def test_no_secret_stands_in_an_object(name: str) -> None:
    """Secrets are named, never made, and no variable has a value that is not known to be none."""
    assert not kinds(of(name), "Secret")
    for pod in pods(of(name)):
        for variable in pod.container.get("env", ()):
            if "value" in variable:
                assert VARIABLES[variable["name"]] == variable["value"]
            else:
                assert set(variable["valueFrom"]) == {"fieldRef"}
        for volume in (volume["secret"] for volume in pod.spec["volumes"] if "secret" in volume):
            assert volume["secretName"]
            assert not volume.get("defaultMode", 0o440) & 0o007, "readable by all"


def test_the_cluster_gives_no_rights(name: str) -> None:
    """No role, no binding; the account of a pod is of the same set, and has no token."""
    assert not [each for each in of(name) if "Role" in each["kind"]]
    accounts = {each["metadata"]["name"] for each in kinds(of(name), "ServiceAccount")}
    assert all(each["automountServiceAccountToken"] is False for each in kinds(of(name), "ServiceAccount"))
    assert {pod.spec["serviceAccountName"] for pod in pods(of(name)) if name != "kustomize"} <= accounts


def test_what_pods_read_is_there(name: str) -> None:
    """A ConfigMap or a claim of this release's name is made by this release."""
    for kind, table, key in (
        ("ConfigMap", "configMap", "name"),
        ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName"),
    ):
        made = {each["metadata"]["name"] for each in kinds(of(name), kind)}
        read = {volume[table][key] for pod in pods(of(name)) for volume in pod.spec["volumes"] if table in volume}
        elsewhere = {"opsverify-targets", "evidence", "postgres-backups"}
        assert read <= made | elsewhere
        assert made <= read or name == "off"


def test_the_server_is_one(name: str) -> None:
    """One replica, replaced before the next starts; its Service and its probes reach it and nothing else."""
    for server in kinds(of(name), "Deployment"):
        assert (server["spec"]["replicas"], server["spec"]["strategy"]) == (1, {"type": "Recreate"})
        (pod,) = pods([server])
        assert selects(server["spec"]["selector"]["matchLabels"], pod)
        (service,) = kinds(of(name), "Service")
        assert [each.name for each in pods(of(name)) if selects(service["spec"]["selector"], each)] == [pod.name]
        ports = {port["name"]: port["containerPort"] for port in pod.container["ports"]}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
        told = next((word for word in pod.container["command"] if word.startswith("--port=")), "--port=8470")
        assert f"--port={next(iter(ports.values()))}" == told
        for probe in ("readinessProbe", "livenessProbe"):
            asked = pod.container[probe]["httpGet"]
            assert (asked["path"], asked["scheme"].lower()) == ("/healthz", asked["port"])
            assert (asked["scheme"] == "HTTP") == ("--plain-http" in pod.container["command"])


@pytest.mark.parametrize(("name", "controller"), [("on", "ingress"), ("plain", "ingress-nginx")])
def test_only_what_is_for_outside_is_published(name: str, controller: str) -> None:
    """The interface and the pages, with TLS; the Service's own port, which the controller's namespace may reach."""
    (ingress,) = kinds(of(name), "Ingress")
    (service,) = kinds(of(name), "Service")
    (rule,) = ingress["spec"]["rules"]
    assert ingress["spec"]["tls"] == [{"hosts": [rule["host"]], "secretName": "gate-tls"}]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/v1", "/live"]
    (port,) = service["spec"]["ports"]
    backend = {"service": {"name": service["metadata"]["name"], "port": {"name": port["name"]}}}
    assert all(path["backend"] == backend for path in rule["http"]["paths"])
    allowed = [
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for policy in kinds(of(name), "NetworkPolicy")
        for each in policy["spec"].get("ingress", ())
        for peer in each["from"]
        if "namespaceSelector" in peer
    ]
    assert allowed.count(controller) == 1


@pytest.mark.parametrize("name", ["default", "off"])
def test_nothing_is_published_unless_asked(name: str) -> None:
    """An ingress is a choice."""
    assert not kinds(of(name), "Ingress")


def test_who_may_connect(name: str) -> None:
    """No policy has an empty list of who may (that is everybody); the server alone is reached, by those it names."""
    policies = kinds(of(name), "NetworkPolicy")
    assert bool(policies) == (name != "off")
    for policy in policies:
        spec = policy["spec"]
        assert "Ingress" in spec["policyTypes"]
        assert ("Egress" in spec["policyTypes"]) == ("egress" in spec)
        for rule in spec.get("ingress", ()):
            assert rule["from"]
            assert rule["ports"]
        reached = [pod for pod in pods(of(name)) if selects(spec["podSelector"]["matchLabels"], pod)]
        assert {pod.owner["kind"] for pod in reached} == {"Deployment"} if "ingress" in spec else reached
    closed = [policy["spec"]["podSelector"]["matchLabels"] for policy in policies]
    if name != "kustomize":
        assert all(any(selects(labels, pod) for labels in closed) for pod in pods(of(name)))


def selects(labels: dict[str, str], pod: PodOf) -> bool:
    """Whether a selector selects a pod."""
    return labels.items() <= pod.labels.items()
