"""Plans of all stages, as `opsverify plan` lists them on the sandbox's target; nothing is contacted."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from opsverify.core.stages import STAGES
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

TARGET = REPOSITORY / "targets" / "sandbox.toml"


@cache
def plans() -> Mapping[str, list[dict[str, Any]]]:
    """Planned checks by stage, each as in `plan.json`; a runbook line without a check has no `nodeid`."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(STAGES, pool.map(_plan, STAGES), strict=True))


def _plan(stage: str) -> list[dict[str, Any]]:
    argv = [sys.executable, "-m", "opsverify", "plan", stage, "--json", f"--target={TARGET}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    checks: list[dict[str, Any]] = json.loads(done.stdout)["checks"]
    return checks
