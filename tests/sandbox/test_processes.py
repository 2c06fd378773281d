"""Processes that outlive their command: identity, waiting, stopping."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from sandbox import SandboxError, processes
from sandbox.processes import Running, Table, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SLEEP = [sys.executable, "-c", "import signal; signal.pause()"]
IGNORE_SIGTERM = """
import pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
while True:
    signal.pause()
"""
OUTLIVED = """
import ctypes, threading
threading.Thread(target=threading.Event().wait).start()
ctypes.CDLL(None).pthread_exit(None)
"""
THREADS = [sys.executable, "-c", OUTLIVED]
STUBBORN = [sys.executable, "-c", IGNORE_SIGTERM]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Make an empty table of processes."""
    return Table(tmp_path)


def test_started_process_is_known_to_another_command(table: Table, tmp_path: Path) -> None:
    """A process that one command started can be found and stopped by the next."""
    running = table.start("sleeper", SLEEP, log=tmp_path / "log")
    other = Table(tmp_path)
    assert other.alive("sleeper") == running
    other.stop(["sleeper"], deadline_s=60)
    assert not running.alive
    assert other.all() == {}


def test_one_whose_first_thread_has_ended_runs_until_it_is_reaped(table: Table, tmp_path: Path) -> None:
    """So does each that is being killed, for a moment: taken for gone it would not be asked for again, and stay."""
    running = table.start("threads", THREADS, log=tmp_path / "log")
    wait_until(lambda: processes.start_mark(running.pid) is None, 60, "its first thread to end")
    assert running.alive
    table.stop(["threads"], deadline_s=60)
    with pytest.raises(ChildProcessError):
        os.waitpid(running.pid, os.WNOHANG)


def test_process_runs_in_a_group_of_its_own(table: Table, tmp_path: Path) -> None:
    """Ctrl-C in the terminal does not reach it."""
    running = table.start("sleeper", SLEEP, log=tmp_path / "log")
    try:
        assert os.getpgid(running.pid) == running.pid != os.getpgid(0)
    finally:
        table.stop(["sleeper"], deadline_s=60)


def test_whole_group_is_stopped(table: Table, tmp_path: Path) -> None:
    """What the process has started itself goes with it."""
    child = tmp_path / "child"
    script = f"""
        "{sys.executable}" -c "import signal; signal.pause()" &
        echo $! > "{child}.tmp"; mv "{child}.tmp" "{child}"; wait
    """
    table.start("parent", ["/bin/sh", "-c", script], log=tmp_path / "log")
    wait_until(child.exists, 60, "the child")
    pid = int(child.read_text(encoding="ascii"))
    table.stop(["parent"], deadline_s=60)
    wait_until(lambda: processes.start_mark(pid) is None, 60, "the child to end")


def test_stubborn_process_is_killed_at_the_deadline(table: Table, tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed."""
    running = table.start("stubborn", [*STUBBORN, str(tmp_path / "ready")], log=tmp_path / "log")
    wait_until((tmp_path / "ready").exists, 60, "the process")
    table.stop(["stubborn"], deadline_s=0.1)
    assert not running.alive


def test_a_killed_process_has_time_to_be_gone(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is that of its own end; after SIGKILL a busy machine needs a while, whatever the deadline was."""
    table.start("sleeper", SLEEP, log=tmp_path / "log")
    looks, alive = itertools.count(), vars(Running)["alive"].fget
    monkeypatch.setattr(Running, "alive", property(lambda one: next(looks) < 20 or alive(one)))
    table.stop(["sleeper"], deadline_s=0.1)
    assert table.all() == {}


def test_reused_pid_is_never_signalled(table: Table, tmp_path: Path) -> None:
    """A process with the recorded pid and another start time is a stranger and stays alive."""
    running = table.start("sleeper", SLEEP, log=tmp_path / "log")
    try:
        stranger = Running(running.pid, "another start")
        assert not stranger.alive
        stranger.send(signal.SIGKILL)
        assert running.alive
    finally:
        table.stop(["sleeper"], deadline_s=60)


def test_zombie_counts_as_ended() -> None:
    """A child that has ended and was not waited for does not count as running."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        wait_until(lambda: processes.start_mark(pid) is None, 60, "the child to end")
    finally:
        os.waitpid(pid, 0)


def test_stopping_what_was_never_started(table: Table) -> None:
    """Stopping is allowed at any time."""
    table.stop(["nothing"], deadline_s=1)
    assert table.all() == {}


def test_signal_during_a_start_loses_no_process(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between fork and record takes effect after the record, so that the process can be stopped."""
    monkeypatch.setattr(processes, "start_mark", _interrupting(processes.start_mark))
    with pytest.raises(KeyboardInterrupt):
        table.start("sleeper", SLEEP, log=tmp_path / "log")
    monkeypatch.undo()
    assert table.alive("sleeper")
    table.stop(["sleeper"], deadline_s=60)


def test_waiting_stops_when_the_process_has_ended(table: Table, tmp_path: Path) -> None:
    """An early death ends the wait at once, with the last line the process wrote."""
    log = tmp_path / "log"
    running = table.start("failing", ["/bin/sh", "-c", "echo no such setting; exit 3"], log=log)
    with pytest.raises(SandboxError, match="failing ended right after its start: no such setting"):
        wait_until(lambda: False, 60, "failing", lambda: processes.died("failing", running, log))


def test_waiting_ends_at_its_deadline() -> None:
    """A condition that never comes true is an error naming it."""
    with pytest.raises(SandboxError, match="timed out after 0 s: a miracle"):
        wait_until(lambda: False, 0, "a miracle")


def _interrupting(start_mark: Callable[[int], str | None]) -> Callable[[int], str | None]:
    def marked(pid: int) -> str | None:
        signal.raise_signal(signal.SIGINT)
        return start_mark(pid)

    return marked
