"""A health endpoint that answers text: the target says which text is healthy, and any other one is a failure."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.probes.probe_servers import fake_server
from tests.support.paths import REPOSITORY
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = """
[services.well]
url = "{url}"
health = "/well"
healthy_text = "OK"
[services.starting]
url = "{url}"
health = "/starting"
healthy_text = "OK"
"""


def test_only_the_text_of_the_target_is_healthy(tmp_path: Path) -> None:
    """Space around the text does not count; status 200 with another text does."""
    with fake_server() as service:
        service.routes["/well"] = (200, {"Content-Type": "text/plain"}, "OK\n")
        service.routes["/starting"] = (200, {"Content-Type": "text/plain"}, "OK, starting\n")
        target, report = tmp_path / "t.toml", tmp_path / "run"
        target.write_text(SMALLEST.partition("[services.a]")[0] + SERVICES.format(url=service.url), encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, "-m", "opsverify", "verify", "daily", f"--target={target}", f"--report-dir={report}"],
            cwd=REPOSITORY, capture_output=True, check=False, text=True, timeout=600,
        )  # fmt: skip
    assert ran.returncode == 1, ran.stdout + ran.stderr
    checks = {one["id"]: one for one in json.loads((report / "verdict.json").read_text(encoding="utf-8"))["checks"]}
    assert checks["health.service[well]"]["outcome"] == "pass"
    assert checks["health.service[starting]"]["outcome"] == "fail"
    assert "OK, starting" in checks["health.service[starting]"]["message"]
