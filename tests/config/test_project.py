"""Project folder: found from a target file, wherever that lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.config.project import project_root

if TYPE_CHECKING:
    from pathlib import Path


def test_a_target_file_at_the_root_of_the_file_system_is_no_project() -> None:
    """It has one folder above it only; the working directory's project is taken."""
    assert project_root("/t.toml") == project_root()


def test_a_target_file_names_its_project(tmp_path: Path) -> None:
    """Its `targets/` lies beside a runbook of its own."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "runbook.toml").touch()
    assert project_root(str(tmp_path / "targets" / "t.toml")) == tmp_path
    assert project_root(str(tmp_path / "t.toml")) == project_root()
