"""Odd files in a run's folder (JSON without end, a FIFO, a link, one too large): a problem by name, never a crash."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from opsverify.cli.main import main
from opsverify.errors import EvidenceError
from opsverify.evidence import once_read
from opsverify.evidence.once_read import read_json
from opsverify.evidence.signature import sign_run, verify_run
from tests.evidence.keys import PRIVATE, PUBLIC
from tests.support.finished_run import finish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NESTED: Final = "[" * 100_000
ODD: Final[dict[str, Callable[[Path], object]]] = {
    "nested": lambda path: path.write_text(NESTED),
    "not JSON": lambda path: path.write_text("x"),
    "not UTF-8": lambda path: path.write_bytes(b"\xff"),
    "a number": lambda path: path.write_text("1"),
    "FIFO": os.mkfifo,
    "link": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
}
FILES: Final = ("verdict.json", "signature.dsse.json", "plan.json", "manifest.sha256")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", FILES)
def test_an_odd_file_is_a_problem_of_the_run(
    run_dir: Path, name: str, odd: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a key and without: problems that name a file, and 10; a prune passes it over."""
    (run_dir / "plan.json").write_text("{}")
    finish(run_dir)
    sign_run(run_dir, PRIVATE)
    (run_dir / name).unlink()
    ODD[odd](run_dir / name)
    for key in (PUBLIC, None):
        found = verify_run(run_dir, key)
        assert key is None or not found.ok
        assert all(problem.path for problem in found.problems)
    (run_dir / "key.pub").write_text(PUBLIC)
    project = run_dir.parent / "project"
    (project / "reports").mkdir(parents=True)
    (project / "runbook.toml").touch()
    run_dir.rename(project / "reports" / "x")
    monkeypatch.chdir(project)
    assert main(["evidence", "verify", "reports/x", "--public-key=reports/x/key.pub"]) == 10
    assert main(["evidence", "prune", "--keep=1", "--older-than=1d"]) == 0
    assert main(["evidence", "bundle", "reports/x"]) == 10
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("odd", [name for name in ODD if name != "a number"])
def test_one_reader_makes_one_error_of_all(tmp_path: Path, odd: str) -> None:
    """Whatever lies there."""
    ODD[odd](tmp_path / "x.json")
    with pytest.raises(EvidenceError, match=r"x\.json"):
        read_json(tmp_path / "x.json")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """A sparse file of any size is refused after `largest` bytes."""
    (tmp_path / "x.json").touch()
    os.truncate(tmp_path / "x.json", once_read.LARGEST + 1)
    with pytest.raises(EvidenceError, match="larger than"):
        read_json(tmp_path / "x.json")
