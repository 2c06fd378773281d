"""Restarts of the server: a run that was under way is a hold, what waited runs, and nothing is run twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from opsverify.errors import TargetError
from opsverify.serve.gate_run import RunState
from opsverify.serve.run_process import RunProcess, mark_of
from opsverify.serve.server import opened
from opsverify.serve.store import RunStore
from tests.support.gate_server import LONGEST_S, GateProject, LiveGate, served, until
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.serve.gate_run import RunRequest
    from opsverify.serve.run_queue import QueueSettings

PROGRAM: Final = """\
import pathlib, sys, time
from opsverify.serve.bodies import Release
from opsverify.serve.gate_run import RunRequest
from opsverify.serve.server import opened
from tests.serve import test_restart
from tests.support.gate_server import plain
project = getattr(test_restart, sys.argv[2])(pathlib.Path(sys.argv[1]))
with opened(project.settings, project.folder / "tokens.toml") as gate:
    token = gate.tokens.find(plain("admin"), gate.clock())
    gate.submit(RunRequest("prod-canary", "prod", (), Release("judgment", "c1")), token)
    gate.submit(RunRequest("prod-canary", "prod", (), Release("other", "c2")), token)
    (project.folder / "both").touch()
    time.sleep(600)
"""


def test_a_killed_server_forgets_nothing_and_repeats_nothing(project: GateProject) -> None:
    """After SIGKILL: its child is gone, the run is a hold that says why, a retry joins it, and what waited runs."""
    server = subprocess.Popen([sys.executable, "-c", PROGRAM, str(project.folder), "GateProject"], cwd=REPOSITORY)
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


STUCK: Final = 'trap "" TERM; echo "$$" >> "$1.begun"; while true; do sleep 0.05; done'


class StuckProject(GateProject):
    """A project whose run of c1 ends by SIGKILL only."""

    script = STUCK

    def command(self, request: RunRequest, folder: Path) -> list[str]:
        """As of any project, but for c1."""
        shell, option, script, *rest = super().command(request, folder)
        is_stuck = request.release is not None and request.release.checksum == "c1"
        return [shell, option, self.script if is_stuck else script, *rest]

    @property
    def settings(self) -> QueueSettings:
        """With a short grace."""
        return replace(super().settings, grace_s=0.2)


class StuckWorkerProject(StuckProject):
    """One whose process ends when it is told to, and leaves another one of its group that does not."""

    script = f"/bin/sh -c '{STUCK}' sh \"$1\" & wait"


@pytest.mark.parametrize("kind", [StuckProject, StuckWorkerProject])
def test_nothing_starts_beside_what_a_killed_server_left(project: GateProject, kind: type[StuckProject]) -> None:
    """A run that goes on after SIGTERM is ended, with its group, before the run that waits for its place starts."""
    stuck = kind(project.folder)
    server = subprocess.Popen([sys.executable, "-c", PROGRAM, str(project.folder), kind.__name__], cwd=REPOSITORY)
    try:
        until((project.folder / "both").exists, "both runs asked for")
        process = until(lambda: project.begun("c1"), "the first run")[0]
        until(lambda: _recorded(project), "that the process is recorded")
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait(LONGEST_S)
    assert mark_of(process) is not None
    stuck.decide("c2", 0)
    with opened(stuck.settings, project.folder / "tokens.toml") as gate:
        assert mark_of(process) is None, "before anything else could start"
        until(lambda: not gate.store.in_state(RunState.QUEUED), "the turn of the other")


def test_a_run_that_cannot_be_ended_keeps_the_server_from_starting(
    project: GateProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be measured together with the next one."""
    stuck = StuckProject(project.folder)
    server = subprocess.Popen([sys.executable, "-c", PROGRAM, str(project.folder), "StuckProject"], cwd=REPOSITORY)
    try:
        until((project.folder / "both").exists, "both runs asked for")
        until(lambda: project.begun("c1") and _recorded(project), "that the process is recorded")
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait(LONGEST_S)
    with monkeypatch.context() as powerless:
        powerless.setattr(os, "killpg", lambda *_: None)
        with (
            pytest.raises(TargetError, match="goes on as process group"),
            opened(stuck.settings, project.folder / "tokens.toml"),
        ):
            raise AssertionError
    assert project.begun("c2") == []
    with opened(stuck.settings, project.folder / "tokens.toml") as gate:
        assert gate.store.in_state(RunState.FINISHED)


def _recorded(project: GateProject) -> bool:
    """Whether the file names the process of a run."""
    with closing(sqlite3.connect(project.settings.state / "runs.sqlite")) as database, database:
        found = database.execute("SELECT pid FROM run WHERE pid IS NOT NULL").fetchone() is not None
    database.close()
    return found


def test_a_number_that_was_given_again_is_not_ended() -> None:
    """Another process of that number, of this run's name or not, is a stranger's."""
    with subprocess.Popen(["/bin/sleep", "600"], start_new_session=True) as stranger:
        mark = str(mark_of(stranger.pid))
        assert RunProcess("other", stranger.pid, f"{mark}0").end(0.1)
        assert stranger.poll() is None
        assert RunProcess("this", stranger.pid, mark).end(LONGEST_S)
        assert stranger.wait(LONGEST_S) == -signal.SIGTERM


def test_a_process_that_is_not_recorded_does_not_go_on(live: LiveGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later server could not end it."""
    started: list[int] = []

    def fails(process: RunProcess) -> None:
        started.append(process.pid)
        raise sqlite3.OperationalError

    monkeypatch.setattr(live.gate.store, "started", fails)
    body = {"stage": "staging", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
    run = live.call("POST", "/v1/runs", body).json()
    assert live.ended(run["id"])["decision"] == "hold"
    assert mark_of(started[0]) is None


def test_a_file_of_an_earlier_version_is_opened(project: GateProject) -> None:
    """Its runs are there, and columns that it lacks are added."""
    file = project.settings.state / "runs.sqlite"
    project.decide("c1", 0)
    body = {"stage": "staging", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
    with served(project) as live:
        run = live.ended(live.call("POST", "/v1/runs", body).json()["id"])
    with closing(sqlite3.connect(file)) as database, database:
        for column in ("pid", "pid_mark"):
            database.execute(f"ALTER TABLE run DROP COLUMN {column}")
        database.execute("PRAGMA journal_mode = DELETE")
    database.close()
    with served(project) as live:
        assert live.run(run["id"]) == run
        project.decide("c2", 1)
        again = live.call("POST", "/v1/runs", body | {"release": {"name": "judgment", "checksum": "c2"}}).json()
        assert live.ended(again["id"])["decision"] == "rollback"


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
