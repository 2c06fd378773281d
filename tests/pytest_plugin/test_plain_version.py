"""`pytest --version` beside a stage: what pytest does before any plugin, as docs/trust.md says."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pytest_plugin.suite import Suite

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = "[pytest11]\nown = own_entry\n"


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_no_plugin_is_loaded(option: str, tmp_path: Path) -> None:
    """Not even one of an installed package could change that it prints its version and ends with 0."""
    suite = Suite.make(tmp_path / "project")
    installed = tmp_path / "installed"
    (installed / "own-1.0.dist-info").mkdir(parents=True)
    (installed / "own-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (installed / "own-1.0.dist-info" / "entry_points.txt").write_text(ENTRY)
    (installed / "own_entry.py").write_text("raise SystemExit(99)\n")
    environment = {**suite.environment, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "pytest", "--stage", "daily", "--target", "t"]
    loaded = subprocess.run(command, cwd=suite.root, env=environment, check=False, capture_output=True)
    assert loaded.returncode == 99, "the entry point is one"
    done = subprocess.run(
        [*command, option], cwd=suite.root, env=environment, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"pytest {pytest.__version__}\n")
