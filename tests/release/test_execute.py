"""Steps are carried out once, in order, up to the first that fails; all of it is written down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.cli import act as command
from opsverify.cli import main
from opsverify.evidence.manifest import verify_manifest
from opsverify.release import act as acting
from opsverify.release import execute
from tests.release.ordered import SECRET, done, fail, finish, note, platform_in, steps

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.release.execute import Platform


@pytest.fixture(autouse=True)
def stability(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let post-rollback end as a test wants; remember how it was asked."""
    asked: dict[str, Any] = {"code": 0, "calls": []}

    def verify(_platform: Platform, stage: str, folder: Path, *arguments: str) -> int:
        asked["calls"].append((stage, arguments))
        folder.mkdir()
        decision = {0: "accept", 1: "reject"}.get(asked["code"], "hold")
        (folder / "verdict.json").write_text(json.dumps({"run_id": "after", "decision": decision}))
        return int(asked["code"])

    monkeypatch.setattr(execute, "verify", verify)
    return asked


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the project be the test's own folder: the target's state lies in its reports."""
    monkeypatch.setattr(command, "project_root", lambda *_given: tmp_path)


def act(folder: Path, platform: Platform, *more: str) -> int:
    """`opsverify act` on the run in `folder`."""
    return main.main(["act", str(folder), f"--target={platform.target_file}", *more])


def journal(folder: Path) -> dict[str, Any]:
    """What was written down."""
    text = (folder.parent / "actions" / f"run-{folder.name}" / "actions.json").read_text()
    return dict(json.loads(text))


def test_rollback_is_carried_out(tmp_path: Path, platform: Platform, stability: dict[str, Any]) -> None:
    """All steps run in order with their placeholders filled, then post-rollback, told when it began."""
    run = finish(tmp_path / "reports" / "1", platform)
    assert act(run, platform, "--yes") == 0
    assert done(tmp_path) == ["first", "second run-1"]
    [(stage, arguments)] = stability["calls"]
    assert stage == "post-rollback"
    assert arguments[0].startswith("--rolled-back-at=20")
    written = journal(run)
    assert (written["outcome"], written["exit_code"], written["left"]) == ("done", 0, [])
    assert [(entry["executed"], entry["exit_code"]) for entry in written["actions"]] == [(True, 0)] * 2
    assert written["post_rollback"]["decision"] == "accept"
    assert written["verdict"]["signed_by"]
    assert verify_manifest(run.parent / "actions" / "run-1") == ()


def test_promotion_needs_no_stability_stage(tmp_path: Path, platform: Platform, stability: dict[str, Any]) -> None:
    """After a promotion nothing is verified here."""
    run = finish(tmp_path / "reports" / "1", platform, decision="promote")
    assert act(run, platform, "--yes") == 0
    assert (done(tmp_path), stability["calls"]) == (["promoted"], [])


@pytest.mark.parametrize(
    ("stage_code", "exit_code", "outcome"), [(1, 1, "rejected"), (10, 10, "held"), (3, 10, "held")]
)
def test_unstable_after_rollback(
    stage_code: int,
    exit_code: int,
    outcome: str,
    tmp_path: Path,
    platform: Platform,
    stability: dict[str, Any],
) -> None:
    """A rollback counts as done only once the platform is verified to be stable."""
    stability["code"] = stage_code
    run = finish(tmp_path / "reports" / "1", platform)
    assert act(run, platform, "--yes") == exit_code
    assert journal(run)["outcome"] == outcome


def test_stops_at_the_first_failed_step(
    tmp_path: Path, stability: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes after is not run, and is named as left; the output is kept without secrets."""
    platform = platform_in(tmp_path, steps("rollback", note("first"), fail(), note("third")))
    run = finish(tmp_path / "reports" / "1", platform)
    assert act(run, platform, "--yes") == 1
    assert (done(tmp_path), stability["calls"]) == (["first"], [])
    written = journal(run)
    assert (written["outcome"], written["exit_code"]) == ("failed", 1)
    assert [entry.get("exit_code") for entry in written["actions"]] == [0, 3, None]
    assert [entry["executed"] for entry in written["actions"]] == [True, True, False]
    assert written["left"][-1] == "verify post-rollback"
    assert len(written["left"]) == 3
    shown = capsys.readouterr().out
    assert "exit code 3" in shown
    assert "left: " in shown


def test_secrets_stay_out_of_output_and_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command prints of a known secret is masked everywhere."""
    monkeypatch.setenv("ACT_SECRET", SECRET)
    token = '[services.b]\nurl = "http://127.0.0.1:9"\nbearer = { env = "ACT_SECRET" }\n'
    platform = platform_in(tmp_path, token + steps("rollback", fail()))
    run = finish(tmp_path / "reports" / "1", platform, actions=[{"argv": platform.redactor.data(fail())}])
    assert act(run, platform, "--yes") == 1
    kept = run.parent / "actions" / "run-1"
    assert (kept / "01-output.txt").read_text() == "[redacted]\n"
    assert all(SECRET not in path.read_text() for path in kept.iterdir())


def test_timeout_of_a_step(tmp_path: Path) -> None:
    """A step has its own deadline."""
    platform = platform_in(tmp_path, steps("rollback", ["sleep", "30"], more='timeout = "200ms"'))
    run = finish(tmp_path / "reports" / "1", platform)
    assert act(run, platform, "--yes") == 1
    entry = journal(run)["actions"][0]
    assert (entry["exit_code"], entry["trouble"]) == (None, "timed out after 200ms")


@pytest.mark.parametrize("failing", [False, True])
def test_second_execution_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    failing: bool,  # noqa: FBT001 - the row
) -> None:
    """A run is carried out once, also when that failed; its journal stays as it was."""
    argvs = (note("once"), fail()) if failing else (note("once"),)
    platform = platform_in(tmp_path, steps("rollback", *argvs))
    run = finish(tmp_path / "reports" / "1", platform)
    assert act(run, platform, "--yes") == int(failing)
    before = journal(run)
    assert act(run, platform, "--yes") == 10
    assert act(run, platform, "--dry-run") == 10
    assert (done(tmp_path), journal(run)) == (["once"], before)
    assert "not run twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "unattended", "code", "acts"),
    [
        ((), False, 10, False),
        (("--dry-run",), False, 0, False),
        (("--dry-run",), True, 0, False),
        (("--yes",), False, 0, True),
        ((), True, 0, True),
    ],
)
def test_permission(
    arguments: tuple[str, ...],
    unattended: bool,  # noqa: FBT001
    code: int,
    acts: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    """Without permission it is shown and not done, and no pipeline can take that for done."""
    more = "[actions.values.v]\nrun = ['touch', 'asked']\n" + steps("rollback", note("x"))
    platform = platform_in(tmp_path, f"unattended = {str(unattended).lower()}\n{more}")
    run = finish(tmp_path / "reports" / "1", platform)
    assert act(run, platform, *arguments) == code
    assert bool(done(tmp_path)) is acts
    assert (run.parent / "actions").exists() is acts
    assert not (tmp_path / "asked").exists()


def test_value_without_answer_leaves_no_journal(tmp_path: Path) -> None:
    """What was refused before the first step may be tried again."""
    more = "[actions.values.v]\nrun = ['false']\n" + steps("rollback", note("{v}"))
    platform = platform_in(tmp_path, more)
    run = finish(tmp_path / "reports" / "1", platform)
    assert act(run, platform, "--yes") == 10
    assert not (run.parent / "actions").exists()


def test_target_is_the_one_the_verdict_names(tmp_path: Path, platform: Platform) -> None:
    """Without --target it is targets/NAME.toml."""
    run = finish(tmp_path / "reports" / "1", platform)
    (tmp_path / "targets").mkdir()
    text = platform.target_file.read_text().replace('folder = "."', 'folder = ".."')
    (tmp_path / "targets" / "prod.toml").write_text(text.replace('"key.pem"', '"../key.pem"'))
    assert acting.act(str(run), None, tmp_path, yes=True, dry_run=False) == 0
    assert done(tmp_path) == ["first", "second run-1"]
