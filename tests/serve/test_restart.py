"""Restarts of the server: a run that was under way is a hold, what waited runs, and nothing is run twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from opsverify.errors import TargetError
from opsverify.serve.gate_run import RunState
from opsverify.serve.server import opened
from opsverify.serve.store import RunStore
from tests.support.gate_server import LONGEST_S, GateProject, served, until
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM: Final = """\
import pathlib, sys, time
from opsverify.serve.bodies import Release
from opsverify.serve.gate_run import RunRequest
from opsverify.serve.server import opened
from tests.support.gate_server import GateProject, plain
project = GateProject(pathlib.Path(sys.argv[1]))
with opened(project.settings, project.folder / "tokens.toml") as gate:
    token = gate.tokens.find(plain("admin"), gate.clock())
    gate.submit(RunRequest("prod-canary", "prod", (), Release("judgment", "c1")), token)
    gate.submit(RunRequest("prod-canary", "prod", (), Release("other", "c2")), token)
    (project.folder / "both").touch()
    time.sleep(600)
"""


def test_a_killed_server_forgets_nothing_and_repeats_nothing(project: GateProject) -> None:
    """After SIGKILL: its child is gone, the run is a hold that says why, a retry joins it, and what waited runs."""
    server = subprocess.Popen([sys.executable, "-c", PROGRAM, str(project.folder)], cwd=REPOSITORY)
    try:
        # The first one begins while the second is written down, which a slow disk makes long.
        until((project.folder / "both").exists, "both runs asked for")
        child = until(lambda: project.begun("c1"), "the first run")[0]
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait(LONGEST_S)
    until(lambda: not _runs(child), "the end of the child")
    project.decide("c2", 0)
    with served(project) as live:
        body = {"stage": "prod-canary", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
        run = live.call("POST", "/v1/runs", body).json()
        assert (run["state"], run["decision"]) == ("finished", "hold")
        assert "the server ended" in run["reasons"][0]
        assert "서버" in run["reasons_ko"][0]
        other = next(each for each in live.call("GET", "/v1/runs").json()["runs"] if each["id"] != run["id"])
        assert live.ended(other["id"])["decision"] == "promote"
    assert len(project.begun("c1")) == 1


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_stopped_server_leaves_a_hold(project: GateProject) -> None:
    """A server that is stopped ends its runs, and says so."""
    with served(project) as live:
        body = {"stage": "staging", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
        run = live.call("POST", "/v1/runs", body).json()
        child = until(lambda: project.begun("c1"), "the run")[0]
    assert not _runs(child)
    store = RunStore(project.settings.state / "runs.sqlite")
    found = store.get(run["id"])
    store.close()
    assert found is not None
    assert found.state is RunState.FINISHED
    assert found.conclusion is not None
    assert "stopped" in found.conclusion.reasons[0]


def test_a_run_that_goes_on_for_ever_is_ended(project: GateProject) -> None:
    """After --longest it is a hold."""
    project.longest_s = 0.3
    with served(project) as live:
        body = {"stage": "staging", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
        run = live.call("POST", "/v1/runs", body).json()
        assert "--longest" in live.ended(run["id"])["reasons"][0]


def test_one_server_a_project(project: GateProject) -> None:
    """A second one would run what the first one runs."""
    with (
        opened(project.settings, project.folder / "tokens.toml"),
        pytest.raises(TargetError, match="another server"),
        opened(project.settings, project.folder / "tokens.toml"),
    ):
        raise AssertionError


def test_a_command_that_cannot_be_started_is_a_hold(project: GateProject, tmp_path: Path) -> None:
    """A machine without room or without the program decides nothing."""
    (project.folder / "reports" / ".serve").mkdir(parents=True)
    (project.folder / "reports" / ".serve" / "output").write_text("in the way", encoding="utf-8")
    with served(project) as live:
        body = {"stage": "staging", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
        run = live.call("POST", "/v1/runs", body).json()
        assert live.ended(run["id"])["decision"] == "hold"
    assert tmp_path.exists()
