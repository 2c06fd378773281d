"""Work shared by processes: made once, and taken over from one that is killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from opsverify.evidence.once import clear_locks, write_once

if TYPE_CHECKING:
    from pathlib import Path

MAKER = """
import os, signal, sys
from pathlib import Path
from opsverify.evidence.once import write_once
folder, how = Path(sys.argv[1]), sys.argv[2]

def make(keep):
    with (folder / "made.log").open("a") as log:
        log.write("made\\n")
    keep.write("half ")
    keep.flush()
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wait":
        (folder / "waiting").touch()
        sys.stdin.readline()
    keep.write("whole")

print(write_once(folder, "fact.json", make).read_text())
"""


def maker(folder: Path, how: str) -> subprocess.Popen[str]:
    """Start a process that makes the shared file."""
    return subprocess.Popen(
        [sys.executable, "-c", MAKER, str(folder), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    """The second one waits for the first, and both read the same whole file."""
    first = maker(tmp_path, "wait")
    while not (tmp_path / "waiting").exists():
        assert first.poll() is None
        threading.Event().wait(0.02)
    second = maker(tmp_path, "make")
    said = [first.communicate("go\n", timeout=180)[0], second.communicate(timeout=180)[0]]
    assert said == ["half whole\n"] * 2
    assert (tmp_path / "made.log").read_text() == "made\n"


def test_a_killed_maker_is_replaced(tmp_path: Path) -> None:
    """What a killed process left half made is never read: the next one makes it anew."""
    killed = maker(tmp_path, "die")
    killed.communicate(timeout=180)
    assert killed.returncode == -9
    assert not (tmp_path / "fact.json").exists()
    assert maker(tmp_path, "make").communicate(timeout=180)[0] == "half whole\n"


def test_a_maker_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """An error goes to the caller, and the next one may try again."""

    def fail(_keep: object) -> None:
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        write_once(tmp_path, "fact.json", fail)
    assert write_once(tmp_path, "fact.json", lambda keep: keep.write("x")).read_text() == "x"
    clear_locks(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["fact.json"]
