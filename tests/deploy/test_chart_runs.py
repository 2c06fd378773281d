"""Chart, run: the commands that its containers have, in folders as a node lays them out, with the real opsverify."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.support.chart_release import SERVICE, ChartRelease

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.pod_folder import PodFolder


def ran(pod: PodFolder, *, asked: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the pod's command, with other addresses."""
    words = pod.command
    for name, other in asked.items():
        assert any(name in word for word in words)
        words = [word.replace(name, other) for word in words]
    return subprocess.run(
        words, cwd=pod.folder, env=pod.environment(), capture_output=True, text=True, check=False, timeout=600
    )


def test_served_asked_and_verified(tmp_path: Path) -> None:
    """The server starts, the pod of `helm test` reaches it and passes, and the Job of `daily` measures it."""
    installed = ChartRelease(tmp_path, tls=True)
    with installed.serving():
        done = ran(installed.pod("Pod", "ov-opsverify-test"), asked={SERVICE: "localhost"})
        assert (done.returncode, done.stdout) == (0, '{"status":"ok"}\n'), done.stderr
        daily = installed.pod("CronJob", "ov-opsverify-daily-production")
        run = ran(daily, asked={})
    assert run.returncode in (0, 10), run.stdout + run.stderr
    verdict = json.loads((daily.folder / "reports" / "latest" / "verdict.json").read_text(encoding="utf-8"))
    outcomes = {check["id"]: check["outcome"] for check in verdict["checks"]}
    assert (verdict["target"], outcomes["health.service[gate]"]) == ("production", "pass")


def test_served_behind_an_ingress(tmp_path: Path) -> None:
    """Without TLS of its own; a server that has ended fails the test."""
    installed = ChartRelease(tmp_path, tls=False)
    test = installed.pod("Pod", "ov-opsverify-test")
    with installed.serving():
        done = ran(test, asked={SERVICE: "localhost"})
        assert (done.returncode, done.stdout) == (0, '{"status":"ok"}\n'), done.stderr
    assert ran(test, asked={SERVICE: "localhost"}).returncode == 1


def test_helm_test_trusts_its_authority_only(tmp_path: Path) -> None:
    """A server with a certificate of another authority is none of ours."""
    for name in ("ours", "other"):
        (tmp_path / name).mkdir()
    ours, other = ChartRelease(tmp_path / "ours", tls=True), ChartRelease(tmp_path / "other", tls=True)
    with other.serving():
        asked = {f"{SERVICE}:{ours.port}": f"localhost:{other.port}"}
        done = ran(ours.pod("Pod", "ov-opsverify-test"), asked=asked)
    assert done.returncode == 1
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr
