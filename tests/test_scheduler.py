"""Scheduler of the suite's own tests: a worker that crashes costs one test, and the run ends."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

CONFTEST = """
import pytest
from tests.support.scheduler import Together

@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Together(config, log, lambda nodeid: "group" if nodeid.endswith(("[3]", "[4]", "[5]")) else nodeid)
"""
TESTS = """
import os, signal, pytest

@pytest.mark.parametrize("number", range(40))
def test_number(number):
    if number in {crashing}:
        os.kill(os.getpid(), signal.SIGKILL)
"""


CRASHING = (0, 4, 17, 39)
"""The first, one of a group, one in the middle, the last."""


def test_a_crashed_worker_costs_its_test_and_no_other(tmp_path: Path) -> None:
    """However often a worker crashes, every other test is run, once, and the run ends."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_numbers.py").write_text(TESTS.format(crashing=CRASHING))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "3", "-p", "no:cacheprovider"],
        cwd=tmp_path, env={"PYTHONPATH": str(REPOSITORY), "PATH": ""}, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert f"{len(CRASHING)} failed, {40 - len(CRASHING)} passed" in done.stdout, done.stdout + done.stderr
