"""Command `opsverify gate`: explain and plan as a person types them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from opsverify.cli.main import main
from opsverify.core.exit_codes import ExitCode
from tests.canary.cluster import START, Cluster, pods, serving
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TARGET = """name = "simulated"
environment = "staging"
language = "en"
absent = ["alertmanager", "postgres", "redis", "mcp", "inbox", "recovery"]
[owners]
default = "platform"
[services.judgment]
url = "http://127.0.0.1:9"
[prometheus]
url = "{url}"
[canary]
canary = 'track="canary"'
baseline = 'track="stable"'
alerts = 'track="canary"'
"""


def test_a_plan_without_traffic_proves_nothing(tmp_path: Path) -> None:
    """Every criterion of the suite is listed, and a window that proves nothing is exit 10."""
    cluster = Cluster(pods(2, "baseline"), now=START + 600)
    target = tmp_path / "target.toml"
    with serving(cluster) as url:
        target.write_text(TARGET.format(url=url), encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, "-m", "opsverify.cli.main", "gate", "plan", "--target", str(target), "--back", "10m"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == ExitCode.HOLD, ran.stderr
    assert "error_rate (< 1%): no trials of the baseline" in ran.stdout
    assert "no window proves every criterion" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_a_plan_needs_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    """Said as a mistake of usage."""
    assert main(["gate", "plan"]) == ExitCode.USAGE
    assert "missing --target" in capsys.readouterr().err


def test_explaining_what_is_no_run_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without observation is exit 10, in one line."""
    assert main(["gate", "explain", str(tmp_path)]) == ExitCode.HOLD
    assert "no observation; name a run of preprod-canary or prod-canary" in capsys.readouterr().err
