"""`opsverify act` on a real cluster: its step is `helm rollback`, and what is measured after depends on the cluster.

No container runs: the service of the target answers as the image that the cluster's Deployment runs would. The record
of the deployment, which a person writes after it, is written by a second step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from tests.support.fleet_services import PlantServer, plant_server
from tests.support.helm import program
from tests.support.target_file import SERVICE_ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.cluster import Cluster

NAME: Final = "judgment"
NAMESPACE: Final = "acted-on"
GOOD, BAD = "registry.example.com/judgment:1.4.0", "registry.example.com/judgment:1.5.0"
_LONGEST_S: Final = 600
_DEPLOYMENT: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: judgment}
spec:
  selector: {matchLabels: {app: judgment}}
  template:
    metadata: {labels: {app: judgment}}
    spec:
      containers: [{name: judgment, image: {{ .Values.image | quote }}}]
"""
_PREVIOUS: Final = """\
import json, subprocess, sys
history = subprocess.run(["helm", "history", *sys.argv[1:], "--output=json"], capture_output=True, check=True).stdout
print(json.loads(history)[-2]["revision"])
"""
_RECORD: Final = """\
import datetime as dt, pathlib
record = 'release = "1.5.0"\\nwhat = "rolled back"\\nby = "Kim"\\nsigned_off_by = "Lee"\\nnotes = "-"\\nat = '
pathlib.Path("targets/deployment.toml").write_text(record + dt.datetime.now(dt.UTC).isoformat())
"""
_ACTIONS: Final = """
[attestations.deployment]
record = "deployment.toml"
[actions]
look = "1s"
folder = ".."
[actions.values]
release = {{ text = "{name}" }}
previous_revision = {{ run = {previous}, timeout = "180s" }}
[[actions.rollback]]
run = ["helm", "rollback", "{{release}}", "{{previous_revision}}", "--namespace", "{namespace}", "--wait"]
runbook = "2-4"
[[actions.rollback]]
run = {record}
runbook = "2-5"
"""


@pytest.fixture
def service(cluster: Cluster) -> Iterator[PlantServer]:
    """Provide the service: it answers 503 while the cluster runs the bad image."""
    with plant_server() as server:

        def answer() -> None:
            (server.sick.add if cluster.image(NAME, NAMESPACE) == BAD else server.sick.discard)(NAME)

        server.when_asked[NAME] = answer
        yield server


def released(cluster: Cluster, chart: Path) -> None:
    """Install the good image with Helm, and upgrade to the bad one."""
    (chart / "templates").mkdir(parents=True)
    (chart / "templates" / "deployment.yaml").write_text(_DEPLOYMENT, encoding="utf-8")
    (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": NAME, "version": "1.0.0"}))
    for command, image in (("install", GOOD), ("upgrade", BAD)):
        cluster.helm(
            command, NAME, chart, f"--namespace={NAMESPACE}", f"--set=image={image}", "--wait", "--timeout=10m"
        )


def test_a_rollback_by_helm_is_carried_out_and_accepted(cluster: Cluster, service: PlantServer, tmp_path: Path) -> None:
    """Verified bad, taken back to the revision before by Helm itself, and accepted by what is measured after."""
    cluster.namespace(NAMESPACE)
    released(cluster, tmp_path / "chart")
    project = tmp_path / "project"
    target = service.target(project / "targets", NAME)
    (project / "runbook.toml").write_text(SERVICE_ALONE, encoding="utf-8")
    previous = json.dumps([sys.executable, "-c", _PREVIOUS, NAME, f"--namespace={NAMESPACE}"])
    record = json.dumps([sys.executable, "-c", _RECORD])
    actions = _ACTIONS.format(name=NAME, namespace=NAMESPACE, previous=previous, record=record)
    with target.open("a", encoding="utf-8") as file:
        file.write(actions)
    path = f"{program('helm').parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(cluster.plane.kubeconfig), "HOME": str(tmp_path)}

    def opsverify(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "opsverify", *arguments], cwd=project, env=environment, capture_output=True,
            text=True, check=False, timeout=_LONGEST_S,
        )  # fmt: skip

    verified = opsverify("verify", "staging", f"--target={NAME}", "--report-dir=reports/run")
    assert verified.returncode == 1, verified.stdout + verified.stderr
    acted = opsverify("act", "reports/run", f"--target={NAME}", "--yes")
    assert acted.returncode == 0, acted.stdout + acted.stderr
    assert "post-rollback: accept" in acted.stdout
    assert cluster.image(NAME, NAMESPACE) == GOOD
    history = json.loads(cluster.helm("history", NAME, f"--namespace={NAMESPACE}", "--output=json"))
    assert [each["status"] for each in history] == ["superseded", "superseded", "deployed"]
    assert history[-1]["description"] == "Rollback to 1"
