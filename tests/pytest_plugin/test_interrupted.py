"""Runs that are stopped from outside: never 0, and a verdict wherever one can be written."""

from __future__ import annotations

import json
import resource
import signal
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Suite

WAITS = """
import threading
@described("t.case")
def test_case(check):
    open("started", "w").close()
    threading.Event().wait(600)
"""

SIGNALLED = """
import os, sys
from opsverify.__main__ import run
from opsverify.pytest_plugin import process

read = process.exit_code_in

def signalled(*arguments):
    os.kill(os.getpid(), {number})
    return read(*arguments)

process.exit_code_in = signalled
sys.exit(run())
"""


@pytest.mark.parametrize("way", ["cli", "pytest", "cli-n2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signal(suite: Suite, way: str, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end in 2, with a verdict that names what did not run."""
    suite.checks("case", WAITS)
    ran = suite.stopped_in(way, "started", number)
    assert ran.code == 2, str(ran)
    assert ran.verdict is not None
    assert ran.verdict["decision"] == "hold"
    assert ran.verdict["exit_code"] == 2
    assert "the run was interrupted" in ran.reasons
    assert "was not executed" in ran.reasons


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_after_the_verdict_changes_nothing(suite: Suite, number: signal.Signals) -> None:
    """The run is decided, and the command line reads its verdict: the exit code is the verdict's, not 2 beside it."""
    (suite.root / "signalled.py").write_text(SIGNALLED.format(number=int(number)))
    _, _, *arguments = suite.command("cli")
    ran = suite.ended(suite.start([sys.executable, "signalled.py", *arguments[1:]]))
    assert ran.verdict is not None, str(ran)
    assert ran.verdict["decision"] == "accept"
    assert ran.code == ran.verdict["exit_code"] == 0


def test_killed_from_outside_leaves_plan_but_no_verdict(suite: Suite) -> None:
    """After SIGKILL nothing can be written: the plan says what was meant to run, no verdict that it did."""
    suite.checks("case", WAITS)
    ran = suite.stopped_in("pytest", "started", signal.SIGKILL)
    assert ran.code == -9
    assert ran.verdict is None
    assert ran.folder is not None
    plan = json.loads((ran.folder / "plan.json").read_text())
    assert [check["id"] for check in plan["checks"]] == ["t.case", "t.whole"]


def test_killed_command_line_stops_the_run(suite: Suite) -> None:
    """After SIGKILL of the command line its child does not run on: it writes what it has, a hold."""
    suite.checks("case", WAITS)
    ran = suite.stopped_in("cli", "started", signal.SIGKILL)  # its output ends with the last process that has it
    assert ran.code == -9
    assert ran.verdict is not None
    assert ran.verdict["decision"] == "hold"
    assert "the run was interrupted" in ran.reasons


@pytest.mark.parametrize("size", [50, 200, 1000], ids=lambda size: f"{size}_bytes")
def test_full_disk(suite: Suite, size: int) -> None:
    """Evidence that cannot be written in full is no evidence: never 0, never 1, and one line says why."""

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    ran = suite.run(prepare=fill)
    assert ran.code not in (0, 1), str(ran)
    assert ran.verdict is None
    assert "cannot be written" in ran.out + ran.err


NO_ROOM = """
from pathlib import Path
@described("t.case")
def test_case(check):
    (max(Path("reports").glob("2*")) / "verdict.json").mkdir()
    check.measure("share", {share}, Limit.parse("<= 50 %", "ratio"))
"""


@pytest.mark.parametrize("way", ["cli", "pytest"])
@pytest.mark.parametrize("share", ["0.1", "0.9", "None"], ids=["within", "outside", "unmeasured"])
def test_no_room_for_the_verdict(suite: Suite, way: str, share: str) -> None:
    """Whatever was measured: without a verdict to show for it the run ends with 3, and prints that it does."""
    suite.checks("case", NO_ROOM.format(share=share))
    ran = suite.run(way)
    assert ran.verdict is None
    assert ran.code == 3, str(ran)
    assert "evidence cannot be written" in ran.err
    assert "(exit 3;" in ran.out
