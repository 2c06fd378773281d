"""Origin of a run: revision, starter and versions."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from opsverify.evidence.origin import PIPELINES, origin_of, revision_of, starter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pytest_plugin.suite import Suite


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_revision_is_gits(tmp_path: Path) -> None:
    """On a branch, detached, packed, in a linked worktree and in none: as git itself says."""
    main = tmp_path / "main"
    main.mkdir()
    assert revision_of(main) is None
    _git(main, "init")
    assert revision_of(main) is None, "no commit yet"
    _git(main, "commit", "--allow-empty", "-m", "x")
    expected = _git(main, "rev-parse", "HEAD")
    assert revision_of(main) == expected
    _git(main, "worktree", "add", "../other", "-b", "other")
    assert revision_of(tmp_path / "other") == expected
    _git(main, "pack-refs", "--all")
    assert revision_of(main) == revision_of(tmp_path / "other") == expected
    _git(main, "checkout", "--detach")
    assert revision_of(main) == expected


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_is_named(pipeline: str) -> None:
    """Each says in its own variables who started what; a variable that is unset is unknown."""
    variables = PIPELINES[pipeline]
    environment = {pipeline: "true"} | {name: name.lower() for name in variables.values() if name != pipeline}
    found = starter(environment)
    assert found["pipeline"] == pipeline
    assert set(found) == {"pipeline", *variables}
    assert None not in found.values()
    assert set(starter({pipeline: "true"})) == set(found)


def test_without_a_pipeline_a_person(tmp_path: Path) -> None:
    """Outside a pipeline the user is named; versions of the parts are there."""
    origin = origin_of(tmp_path, {})
    assert origin["started_by"]["pipeline"] is None
    assert origin["started_by"]["by"]
    assert origin["versions"]["httpx"]
    assert origin["versions"]["python"]


def test_it_is_part_of_the_evidence(suite: Suite) -> None:
    """A run's folder has it, without the target's secrets, covered by the manifest."""
    suite.variables |= {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "kim " + suite.environment["PLANTED_SECRET"]}
    ran = suite.run()
    assert ran.folder is not None
    origin = json.loads((ran.folder / "origin.json").read_text(encoding="utf-8"))
    assert origin["started_by"]["by"] == "kim [redacted]"
    assert "  origin.json\n" in (ran.folder / "manifest.sha256").read_text()
