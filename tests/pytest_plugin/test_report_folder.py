"""The folder of a run's evidence: nothing older is lost or taken for the new run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.pytest_plugin.suite import verdict_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pytest_plugin.suite import Suite


@pytest.mark.parametrize("way", ["cli", "pytest"])
@pytest.mark.parametrize("folder", ["/proc/nope", "file/below"])
def test_unwritable_folder(suite: Suite, way: str, folder: str) -> None:
    """A folder that cannot be made is a usage error in one line, before anything is contacted."""
    (suite.root / "file").write_text("a regular file")
    ran = suite.run(way, [f"--report-dir={folder}"])
    assert ran.code == 4, str(ran)
    assert "cannot be written" in ran.err
    assert "name another with --report-dir" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("way", ["cli", "pytest"])
def test_a_folder_that_is_no_text(suite: Suite, way: str) -> None:
    """Evidence is UTF-8: a name in another encoding is refused in one line, before anything is contacted."""
    ran = suite.run(way, ["--report-dir=\udcff"])
    assert ran.code == 4, str(ran)
    assert "no UTF-8 text" in ran.err
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.parametrize("way", ["cli", "pytest"])
def test_evidence_elsewhere_than_the_project(suite: Suite, way: str, tmp_path: Path) -> None:
    """Another folder for the evidence does not replace the project's own record of runs, and the line says so."""
    (suite.root / "reports").write_text("no folder")
    ran = suite.run(way, [f"--report-dir={tmp_path / 'evidence'}"])
    assert ran.code == 4, str(ran)
    assert f"make {suite.root / 'reports'} writable" in ran.err


def test_foreign_files_are_left_alone(suite: Suite) -> None:
    """A folder with somebody else's files is refused: their files stay as they are."""
    folder = suite.root / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    ran = suite.run("cli", [f"--report-dir={folder}"])
    assert ran.code == 4
    assert "holds files of no opsverify run" in ran.err
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_earlier_run_is_set_aside(suite: Suite) -> None:
    """The second run in the same folder keeps the first one whole, under its run id."""
    folder = suite.root / "evidence"
    first = suite.run("cli", [f"--report-dir={folder}"])
    assert first.code == 0, str(first)
    earlier = verdict_in(folder)
    assert earlier is not None
    second = suite.run("cli", [f"--report-dir={folder}", "-k", "nothing"])
    assert second.code == 5
    kept = verdict_in(folder.with_name(f"evidence-{earlier['run_id']}"))
    latest = verdict_in(folder)
    assert kept == earlier
    assert latest is not None
    assert latest["run_id"] != earlier["run_id"]


def test_earlier_run_without_verdict_is_set_aside(suite: Suite) -> None:
    """What a killed run left (no verdict) is kept as well, and never mistaken for the new run."""
    folder = suite.root / "evidence"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"run_id": "20200101T000000Z-daily-dead"}))
    ran = suite.run("cli", [f"--report-dir={folder}"])
    assert ran.code == 0, str(ran)
    assert (suite.root / "evidence-20200101T000000Z-daily-dead" / "run.json").exists()


def test_latest_points_to_the_newest_run(suite: Suite) -> None:
    """`reports/latest` is a relative link to the run that ended last."""
    ran = suite.run()
    assert ran.folder is not None
    latest = suite.root / "reports" / "latest"
    assert latest.is_symlink()
    assert latest.readlink().name == ran.folder.name
    assert not list(ran.folder.glob(".*"))
