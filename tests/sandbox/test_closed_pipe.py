"""A pipe that its reader closed: the sandbox's program ends as with a reader."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("arguments", "code"), [(["faults"], 0), (["status"], 3), (["demo", "--help"], 0)])
def test_a_reader_that_is_gone_ends_nothing(tmp_path: Path, arguments: list[str], code: int) -> None:
    """`opsverify sandbox status | head -1`: no traceback, and the exit code of the command."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, "OPSVERIFY_SANDBOX_HOME": str(tmp_path / "home")},
        timeout=120,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")
