"""The command line of recovery: exit codes, and what a nightly rehearsal runs when there is nothing to restore to."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from opsverify.cli import main, rehearse
from opsverify.cli.dr.heartbeat import POLL_S, _run_until_stopped
from opsverify.errors import EvidenceError, Inconclusive
from opsverify.recovery.restore.recoverable import NotYetRecoverable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="project")
def at_the_command_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the command line find the project."""
    for suite in ("checks", "dr_validation"):
        (project / suite).mkdir(exist_ok=True)
    monkeypatch.chdir(project)
    return project


def test_an_incident_on_the_command_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Declared: 0 and the status. Out of order: 10 and one line. A report: the path of a page."""
    assert main.main(["dr", "declare", "--target", "t", "--by", "kim"]) == 0
    assert "next: backup" in capsys.readouterr().out
    assert main.main(["dr", "mark", "restore", "--target", "t"]) == 10
    refused = capsys.readouterr().err
    assert refused.startswith("opsverify: restore is out of order")
    assert refused.count("\n") == 1
    assert main.main(["dr", "mark", "note", "--target", "t", "--note", "called the provider"]) == 0
    assert main.main(["dr", "status", "--target", "t"]) == 0
    assert "called the provider" in capsys.readouterr().out
    assert main.main(["dr", "report", "--target", "t"]) == 0
    assert capsys.readouterr().out.strip().endswith("recovery.html")
    assert list((project / "reports" / "incidents").glob("*/recovery.html"))


def test_what_a_target_lacks_is_a_usage_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No heartbeat without its table; an unknown step gets the list."""
    assert project.is_dir()
    assert main.main(["dr", "heartbeat", "--target", "t"]) == 4
    assert "dr heartbeat needs [postgres] and [recovery.heartbeat]" in capsys.readouterr().err
    main.main(["dr", "declare", "--target", "t"])
    assert main.main(["dr", "mark", "reboot", "--target", "t"]) == 4
    assert "no such step" in capsys.readouterr().err


@pytest.mark.parametrize("reachable", [True, False])
def test_a_rehearsal_always_leaves_a_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, reachable: bool
) -> None:
    """With a newest point in time the stage goes there; without one it runs all the same, and says why it holds."""
    moment = "2026-11-22T20:00:00+00:00"

    class Moment:
        def isoformat(self) -> str:
            return moment

    def newest(_target: str, _root: Path, _past: object) -> Moment:
        if not reachable:
            raise Inconclusive("no commit archived")
        return Moment()

    ran: list[list[str]] = []
    monkeypatch.setattr(rehearse, "newest_target", newest)
    monkeypatch.setattr(rehearse, "_first_record", lambda _target: None)
    monkeypatch.setattr(os, "execv", lambda _program, argv: ran.append(argv))
    monkeypatch.chdir(tmp_path)
    main.main(["rehearse", "--target", "t", "--report-dir", "out", "--", "-x"])
    expected = ["verify", "rehearsal", "--target", "t"]
    expected += ["--recovery-target", moment] if reachable else []
    assert ran[0][3:] == [*expected, f"--report-dir={tmp_path / 'out'}", "--", "-x"]


def test_a_rehearsal_waits_for_what_the_next_segment_brings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A commit after the backup, then one after the ledger's first record; it says once what it waits for."""
    record = dt.datetime(2026, 11, 22, 20, 0, tzinfo=dt.UTC)
    before, after = record - dt.timedelta(seconds=9), record + dt.timedelta(seconds=1)
    answers: list[dt.datetime | Inconclusive] = [NotYetRecoverable("no archived commit yet"), before, after]

    def newest(_target: str, _root: Path, _past: object) -> dt.datetime:
        answer = answers.pop(0)
        if isinstance(answer, Inconclusive):
            raise answer
        return answer

    monkeypatch.setattr(rehearse, "newest_target", newest)
    monkeypatch.setattr(rehearse, "_first_record", lambda _target: record)
    monkeypatch.setattr(rehearse, "_EVERY_S", 0.0)
    assert rehearse._recovery_target("t", "en") == after
    assert capsys.readouterr().out == (
        "rehearsal: waiting up to 2m for the first recovery target: no archived commit yet\n"
    )
    answers[:] = [Inconclusive("the archive has a gap")]
    with pytest.raises(Inconclusive, match="gap"):
        rehearse._recovery_target("t", "en")


def test_a_record_is_there_when_all_of_it_was_read() -> None:
    """A target within a capture lacks what was read after it; earlier versions recorded the beginning only."""
    began, ended = "2026-11-22T20:00:00+00:00", "2026-11-22T20:00:07+00:00"
    assert rehearse._read_whole({"captured_at": began, "rows_read": {"until": ended}}) == ended
    assert rehearse._read_whole({"captured_at": began}) == began


def test_a_heartbeat_stops_on_sigterm() -> None:
    """SIGTERM ends it in good order; its own end and its errors come through."""
    waiting = threading.get_ident()

    def beat(stop: threading.Event, beats: int | None) -> None:
        if beats == 0:
            raise EvidenceError("log cannot be written")
        if beats is None:
            # To that very thread: others of a test's process do not block it.
            signal.pthread_kill(waiting, signal.SIGTERM)
            assert stop.wait(30)

    _run_until_stopped(beat, None)
    _run_until_stopped(beat, 3)
    with pytest.raises(EvidenceError, match="cannot be written"):
        _run_until_stopped(beat, 0)


BEATS = """
from opsverify.cli.dr.heartbeat import _run_until_stopped

def beat(stop, beats):
    while not stop.wait(0.01):
        print("beat", flush=True)

_run_until_stopped(beat, None)
print("in good order", flush=True)
"""


def test_a_heartbeat_goes_on_after_it_was_paused() -> None:
    """A process that is stopped for longer than it looks for signals, and goes on (Ctrl-Z and fg, a debugger)."""
    with subprocess.Popen([sys.executable, "-c", BEATS], stdout=subprocess.PIPE, text=True) as running:
        lines = iter(running.stdout or ())
        assert next(lines) == "beat\n"
        running.send_signal(signal.SIGSTOP)
        time.sleep(2 * POLL_S)  # as long as the pause is
        running.send_signal(signal.SIGCONT)
        assert {next(lines, "nothing") for _ in range(200)} == {"beat\n"}
        running.send_signal(signal.SIGTERM)
        assert [line for line in lines if line != "beat\n"] == ["in good order\n"]
    assert running.returncode == 0
