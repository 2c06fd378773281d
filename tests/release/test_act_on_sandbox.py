"""End to end: a bad canary is rolled back by `act` on the stand-in platform, and post-rollback accepts it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import REPOSITORY
from tests.support.standin import RUN_DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.standin import Standin, Verified

SHARE = 0.18
FAULT = "llm_unparsable"


@pytest.fixture
def bad_canary(standin: Standin) -> Iterator[Verified]:
    """Let a canary be found bad; put everything back afterwards."""
    standin.await_quiet("prod-canary")
    standin.sandbox.fault(FAULT, "canary")
    try:
        yield standin.verify("prod-canary", *standin.arguments("prod-canary"))
    finally:
        standin.sandbox.fault(FAULT, off=True)
        standin.sandbox.migrate("up")
        standin.sandbox.traffic(canary_share=SHARE)


def act(standin: Standin, run: Path) -> subprocess.CompletedProcess[str]:
    """`opsverify act RUN --yes`, as a pipeline calls it."""
    command = [sys.executable, "-m", "opsverify", "act", str(run), f"--target={standin.target}", "--yes"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=RUN_DEADLINE_S, check=False)


def test_rollback_is_carried_out_and_accepted(standin: Standin, bad_canary: Verified) -> None:
    """Split set back, migration down, cache cleared, record written: each of them seen by post-rollback."""
    assert (bad_canary.exit_code, bad_canary.verdict["decision"]) == (1, "rollback"), bad_canary.story
    acted = act(standin, bad_canary.folder)
    assert acted.returncode == 0, acted.stdout + acted.stderr

    folder = bad_canary.folder.parent / "actions" / bad_canary.verdict["run_id"]
    journal = json.loads((folder / "actions.json").read_text(encoding="utf-8"))
    assert [entry["exit_code"] for entry in journal["actions"]] == [0, 0, 0, 0]
    after = json.loads((folder / "post-rollback" / "verdict.json").read_text(encoding="utf-8"))
    outcomes = {check["id"]: check["outcome"] for check in after["checks"] if check["id"].startswith("rollback.")}
    assert set(outcomes.values()) == {"pass"}
    assert len(outcomes) == 8

    again = act(standin, bad_canary.folder)
    assert (again.returncode, "두 번 실행하지 않음" in again.stderr) == (10, True)
