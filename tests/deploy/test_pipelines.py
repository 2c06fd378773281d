"""Pipelines, run: the action of GitHub and the template of GitLab by runners on this machine.

`opsverify` is a stand-in that ends with each exit code; which jobs ran afterwards is what counts.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.ci_runners import KILLED, PIPELINES, PipelineFolder, act, gitlab_ci_local
from tests.support.manifests import DEPLOY

if TYPE_CHECKING:
    from pathlib import Path

HOLDS: Final = ("10", KILLED)
GATE: Final = "opsverify prod-canary production"


@pytest.mark.parametrize(
    ("code", "jobs"),
    [("0", {"step after the gate", "deploy"}), ("1", {"roll back"}), *((code, {"ask"}) for code in HOLDS)],
)
def test_jobs_after_the_action(code: str, jobs: set[str], tmp_path: Path) -> None:
    """GitHub: what needs the gate runs after a promotion only; others see its decision; evidence is kept always."""
    program, folder = act(), PipelineFolder(tmp_path)
    (folder.folder / ".github" / "workflows").mkdir(parents=True)
    shutil.copy(PIPELINES / "github.yml", folder.folder / ".github" / "workflows")
    shutil.copytree(DEPLOY / "github", folder.folder / "deploy" / "github")
    folder.commit()
    given = [f"--env={name}={folder.environment[name]}" for name in ("PATH", "RAN", "KEPT")]
    upload = f"--local-repository=actions/upload-artifact@v4={PIPELINES / 'upload-artifact'}"
    done = folder.run(program, "push", "--platform=ubuntu-latest=-self-hosted", f"--env=CODE={code}", *given, upload)
    assert folder.seen == jobs, done.stdout + done.stderr
    assert (done.returncode == 0) == (code == "0")
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.name == "opsverify-prod-canary-production-1"
    assert (kept / "opsverify.log").exists()
    (verdict,) = kept.glob("gate-*/verdict.json")
    assert "verify prod-canary --target production" in verdict.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "approved", "jobs"),
    [
        ("0", False, {"deploy", "later"}),
        ("1", True, set()),
        *((code, False, set()) for code in HOLDS[:1]),
        *((code, True, {"deploy after approval"}) for code in HOLDS),
    ],
)
def test_jobs_after_the_template(code: str, approved: bool, jobs: set[str], tmp_path: Path) -> None:  # noqa: FBT001
    """GitLab: a hold is red and runs nothing, until a person runs `approve`; after a rollback that job never begins."""
    runner, folder = gitlab_ci_local(), PipelineFolder(tmp_path)
    text = (PIPELINES / "gitlab-ci.yml").read_text(encoding="utf-8")
    if not approved:  # the runner refuses a pipeline in which a job needs a manual one that nobody runs
        text = text.partition("deploy after approval:")[0]
    (folder.folder / ".gitlab-ci.yml").write_text(text, encoding="utf-8")
    shutil.copy(DEPLOY / "gitlab" / "templates" / "opsverify.yml", folder.folder)
    folder.program("rsync", "#!/bin/sh\nexit 0\n")  # it copies the repository for containers, of which there are none
    folder.commit()
    words = [
        "--force-shell-executor",
        "--no-json-schema-validation",
        f"--variable=CODE={code}",
        f"--variable=RAN={folder.ran}",
    ]
    done = folder.run(*runner, *words, *([f"--manual={GATE} approve"] if approved else []))
    assert folder.seen == jobs, done.stdout + done.stderr
    assert (done.returncode == 0) == (code == "0")
    assert ("released by" in done.stdout) == bool(approved and jobs)
    red = {line.split("FAIL", 1)[1].strip() for line in done.stdout.splitlines() if line.strip().startswith("FAIL")}
    assert red == {"0": set(), "1": {f"{GATE} measure"}}.get(code, {GATE})
