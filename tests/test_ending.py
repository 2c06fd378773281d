"""Endings that do not come are told with the stacks of what did not end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.ending import ending

STUCK = "import time\ndef waits():\n    print('begun', flush=True); time.sleep(600)\nwaits()"
"""In one line: whoever has read the word may come before the next statement."""


def start(*words: str) -> subprocess.Popen[str]:
    """Start a process whose output is read."""
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ended() -> None:
    """What it printed and complained of."""
    assert ending(start(sys.executable, "-c", "import sys; print('out'); sys.exit('err')")) == ("out\n", "err\n")


def test_stuck_in_a_descendant() -> None:
    """The stack of the one that is stuck, below a shell that waits for it."""
    process = start("sh", "-c", '"$0" -X faulthandler -c "$1"; true', sys.executable, STUCK)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    with pytest.raises(pytest.fail.Exception, match=r"had not ended after 0\.1 s[^~]*line 3 in waits"):
        ending(process, deadline_s=0.1)
