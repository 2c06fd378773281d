"""Files and folders that this machine refuses (no room, no right, gone): one line for its reader, and no trace."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A generated project, in which the command is given, with a file where its reports should go."""
    assert main(["init", str(tmp_path / "shop")]) == 0
    capsys.readouterr()
    monkeypatch.chdir(tmp_path / "shop")
    (tmp_path / "shop" / "reports").rmdir()
    (tmp_path / "shop" / "reports").write_text("no folder")
    return tmp_path / "shop"


@pytest.mark.parametrize(
    "arguments",
    [
        ("attest", "1-daily/llm", "--target", "shop", "--by", "kim", "--role", "L1"),
        ("report", "index"),
        ("report", "weekly", "--target", "shop"),
        ("dr", "declare", "--target", "shop", "--by", "kim"),
        ("evidence", "prune", "--keep", "1", "--older-than", "1d"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_refused_folder_is_named(project: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> None:
    """Nothing is written, and the line says where and what to do; a command that has nothing to write is fine."""
    code = main(list(arguments))
    shown = capsys.readouterr().err
    assert (code, shown) == (0, "") or (code in {3, 4, 10} and str(project / "reports") in shown), shown
    assert all(line.startswith("opsverify: ") for line in shown.splitlines())


@pytest.mark.parametrize(("arguments", "code"), [(("report",), 4), (("merge", "plan.json"), 3)])
def test_a_folder_that_was_removed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: Sequence[str],
    code: int,
) -> None:
    """A shell may stand in a folder that a deployment has replaced."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main([*arguments, "--language", "en"]) == code
    shown = capsys.readouterr().err
    assert "No such file or directory" in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("there", [False, True])
def test_a_project_is_made_whole_or_not(tmp_path: Path, *, there: bool) -> None:
    """On a full disk: the file is named, and nothing stays that could be taken for a project."""
    folder = tmp_path / "shop"
    if there:
        folder.mkdir()

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))

    done = subprocess.run(
        [sys.executable, "-m", "opsverify", "init", str(folder), "--language", "en"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=full,
    )
    assert done.returncode == 4
    assert f"opsverify: {folder}/" in done.stderr
    assert "cannot be written (File too large); nothing was made" in done.stderr
    assert list(tmp_path.rglob("*")) == ([folder] if there else [])
