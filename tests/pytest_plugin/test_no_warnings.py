"""Warnings of pytest about our own code and settings: a reader of a gate's output can do nothing about them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.ending import ending
from tests.support.fleet_services import plant_server
from tests.support.gate_server import project_in

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_but_the_run_is_told(tmp_path: Path) -> None:
    """The built-in suites, in a project that has none of its own: only checks and the verdict are printed."""
    project = project_in(tmp_path / "project")
    with plant_server() as services:
        services.target(project / "targets", "quiet")
        words = [sys.executable, "-m", "opsverify", "verify", "staging", "--target=quiet", "--language=en"]
        out, err = ending(
            subprocess.Popen(words, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    assert "staging on quiet: PROMOTE" in out
    assert "warning" not in (out + err).lower()
