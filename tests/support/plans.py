"""Plans of all stages, as `opsverify plan` lists them on the sandbox's target; nothing is contacted.

Run as a module, in a process that collects them one after the other: no pytest of a plan meets the one of the tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from opsverify.cli.plan import collect
from opsverify.core.plan import Plan, with_uncovered
from opsverify.core.stages import STAGES
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

TARGET = REPOSITORY / "targets" / "sandbox.toml"


@cache
def plans() -> Mapping[str, list[dict[str, Any]]]:
    """Planned checks by stage, each as in `plan.json`; a runbook line without a check has no `nodeid`."""
    argv = [sys.executable, "-m", __name__]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    by_stage: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return by_stage


def _plan(stage: str) -> list[dict[str, Any]]:
    found = collect(stage, str(TARGET), REPOSITORY)
    assert not found.troubles, found.troubles
    plan = Plan(found.stage, with_uncovered(found.stage, found.target, found.planned.values())).to_dict()
    checks: list[dict[str, Any]] = plan["checks"]
    return checks


if __name__ == "__main__":
    json.dump({stage: _plan(stage) for stage in STAGES}, sys.stdout)
