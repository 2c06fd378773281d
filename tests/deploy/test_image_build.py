"""Image, built and run: with the chart's own commands, mounts and restrictions, by a Docker engine.

Runs where OPSVERIFY_TEST_PYTHON_IMAGE names a base image with its digest (NAME@sha256:DIGEST) that the engine can pull:
minutes, and hundreds of megabytes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from opsverify.probes.eventually import eventually
from tests.support.chart_release import SERVICE, ChartRelease
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.pod_folder import PodFolder

VARIABLE: Final = "OPSVERIFY_TEST_PYTHON_IMAGE"
BASE: Final = os.environ.get(VARIABLE, "")
IMAGE: Final = "opsverify:under-test"
SERVER: Final = "opsverify-under-test"
pytestmark = pytest.mark.skipif(
    not BASE or shutil.which("docker") is None, reason=f"needs a Docker engine, and {VARIABLE}=NAME@sha256:DIGEST"
)


def docker(*words: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run docker; fails unless it ends with `code` (None: any)."""
    done = subprocess.run(
        ["docker", *map(str, words)], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=1800,
        env=os.environ | {"DOCKER_BUILDKIT": "1"},
    )  # fmt: skip
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def image() -> str:
    """The image, built as the Dockerfile says."""
    file = REPOSITORY / "deploy" / "image" / "Dockerfile"
    docker("build", "--network=host", f"--file={file}", f"--build-arg=PYTHON_IMAGE={BASE}", f"--tag={IMAGE}", ".")
    return IMAGE


def words_of(pod: PodFolder, reports: Path) -> list[str]:
    """Arguments of `docker run` for what the pod's container has: its restrictions, mounts and variables."""
    given = pod.container["securityContext"]
    assert given["readOnlyRootFilesystem"]
    assert not given["allowPrivilegeEscalation"]
    words = [
        "--read-only",
        "--security-opt=no-new-privileges",
        "--network=host",
        f"--workdir={pod.container['workingDir']}",
    ]
    words += [f"--cap-drop={each}" for each in given["capabilities"]["drop"]]
    for mount in pod.container["volumeMounts"]:
        place = mount["mountPath"]
        if place == "/tmp":  # noqa: S108 - in the container
            words.append("--tmpfs=/tmp:mode=1777")
        else:
            source = reports if place == "/project/reports" else pod.root / place.lstrip("/")
            words.append(f"--volume={source}:{place}{':ro' if mount.get('readOnly') else ''}")
    return words + [f"--env={each['name']}={each['value']}" for each in pod.container.get("env", ()) if "value" in each]


def test_its_account_and_labels(image: str) -> None:
    """A number that is not root, without a name; the version it has."""
    assert docker("run", "--rm", image, "id").stdout.split() == ["uid=10001", "gid=10001", "groups=10001"]
    (found,) = json.loads(docker("inspect", image).stdout)
    assert found["Config"]["Labels"]["org.opencontainers.image.title"] == "opsverify"
    assert found["Config"]["User"] == "10001:10001"


def test_served_asked_and_verified(image: str, tmp_path: Path) -> None:
    """Server, `helm test` and the daily CronJob as on a node; only temporary files and evidence can be written."""
    tmp_path.chmod(0o755)
    release = ChartRelease(tmp_path, tls=True)
    reports = tmp_path / "reports"
    reports.mkdir()
    reports.chmod(0o777)
    server = release.pod("Deployment", "ov-opsverify")
    docker(
        "run", "--detach", "--rm", f"--name={SERVER}", *words_of(server, reports), image, *server.container["command"]
    )
    try:
        listening = eventually(
            lambda: docker("logs", SERVER).stderr, lambda log: "listening on" in log, deadline_s=60, every_s=0.2,
            what="the server",
        )  # fmt: skip
        assert listening
        test = release.pod("Pod", "ov-opsverify-test")
        asked = [word.replace(SERVICE, "localhost") for word in test.container["command"]]
        assert docker("run", "--rm", *words_of(test, reports), image, *asked).stdout == '{"status":"ok"}\n'
        daily = release.pod("CronJob", "ov-opsverify-daily-production")
        done = docker("run", "--rm", *words_of(daily, reports), image, *daily.container["command"])
        assert "ACCEPT" in done.stdout
        assert "Warning" not in done.stdout + done.stderr
        for place in ("/opt/x", "/project/x", "/project/targets/x", "/etc/x"):
            assert "Read-only" in docker("exec", SERVER, "touch", place, code=1).stderr
    finally:
        docker("stop", "--time=60", SERVER, code=None)
