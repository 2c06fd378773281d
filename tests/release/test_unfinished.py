"""A rollout that was killed, two at once, and the watch after the last step."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.cli import act as act_command
from opsverify.cli import main
from opsverify.cli import rollout as command
from opsverify.evidence.target_state import TargetState
from opsverify.release import execute
from opsverify.release import rollout as rolling
from tests.release.ordered import BOTH, done, finish, platform_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILL = "kill"
SIGKILL = "SIGKILL"


@pytest.fixture
def roll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a rollout whose verifications decide as told; `kill` ends it there, `SIGKILL` its process."""
    monkeypatch.setattr(command, "project_root", lambda *_given: tmp_path)
    monkeypatch.setattr(act_command, "project_root", lambda *_given: tmp_path)

    def run(decisions: list[str], *more: str, actions: str = BOTH) -> int:
        left = iter(decisions)
        platform = platform_in(tmp_path, actions)

        def verify(_platform: object, stage: str, folder: Path, *_arguments: str) -> int:
            if stage == "post-rollback":
                folder.mkdir()
                (folder / "verdict.json").write_text('{"run_id": "after", "decision": "accept"}')
                return 0
            if (decision := next(left)) == KILL:
                raise KeyboardInterrupt
            if decision == SIGKILL:
                os.kill(os.getpid(), signal.SIGKILL)
            name = f"{folder.parent.name}-{folder.name}"
            finish(folder, platform, decision=decision, run_id=name)
            return {"promote": 0, "rollback": 1}.get(decision, 10)

        monkeypatch.setattr(rolling, "verify", verify)
        monkeypatch.setattr(execute, "verify", verify)
        try:
            return main.main(["rollout", f"--target={platform.target_file}", "--yes", *more])
        except KeyboardInterrupt:
            return 2

    return run


def records(tmp_path: Path) -> list[dict[str, Any]]:
    """The records of all rollouts, oldest first."""
    return [json.loads(path.read_text()) for path in sorted((tmp_path / "reports" / "rollouts").glob("*/rollout.json"))]


@pytest.mark.parametrize(
    ("choice", "decisions", "code", "last"),
    [
        ("go-on", ["promote", "promote"], 0, "promoted"),
        ("roll-back", [], 1, "second "),
        ("abandon", [], 10, "share 0.5"),
    ],
)
def test_unfinished_rollout(
    roll: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    choice: str, decisions: list[str], code: int, last: str,
) -> None:  # fmt: skip
    """The next start names it and does nothing; then it goes on, rolls back or is left, as chosen."""
    roll(["promote", KILL])
    capsys.readouterr()
    assert roll(["promote"] * 3) == 10
    said = capsys.readouterr().err
    assert "was ended at 50 %, which had decided nothing" in said
    assert "--unfinished=go-on" in said
    assert done(tmp_path) == ["share 0.1", "share 0.5"]
    assert roll(decisions, f"--unfinished={choice}") == code
    assert done(tmp_path)[-1].startswith(last)
    assert not TargetState.of(tmp_path / "reports", "prod").unfinished.exists()


def test_nothing_of_a_killed_process_is_forgotten(
    roll: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL leaves no time to write anything: the lock is free, the next start names the rollout and its share."""
    process = multiprocessing.get_context("fork").Process(target=roll, args=(["promote", SIGKILL],))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert done(tmp_path) == ["share 0.1", "share 0.5"]
    assert roll(["promote"] * 3) == 10
    said = capsys.readouterr().err
    (folder,) = (tmp_path / "reports" / "rollouts").iterdir()
    assert f"rollout {folder.name} was ended at 50 %, which had decided nothing" in said
    assert done(tmp_path) == ["share 0.1", "share 0.5"]
    assert roll(["promote", "promote"], "--unfinished=go-on") == 0
    assert done(tmp_path)[-1] == "promoted"


def test_older_rollouts_step_after_a_newer_rollback(
    roll: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A promoted step of a killed rollout is void once a newer rollout of the target rolled back."""
    roll(["promote", "promote", KILL])
    roll([], "--unfinished=abandon")
    (old,) = (tmp_path / "reports" / "rollouts").iterdir()
    assert roll(["rollback"]) == 1
    before = done(tmp_path)
    assert main.main(["act", str(old / "02-50"), f"--target={tmp_path / 'prod.toml'}", "--yes"]) == 10
    assert "rolled back" in capsys.readouterr().err
    assert done(tmp_path) == before


def test_two_at_once(roll: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While one changes the target the second is refused with 4, and sets no share."""
    with TargetState.of(tmp_path / "reports", "prod").lock():
        assert roll(["promote"] * 3) == 4
    assert "another rollout or act" in capsys.readouterr().err
    assert done(tmp_path) == []


@pytest.mark.parametrize(
    ("decisions", "code", "last"),
    [(["promote", "promote"], 0, "promoted"), (["promote", "rollback"], 1, "second "), (["hold"], 10, "share 1")],
)
def test_bake(
    roll: Callable[..., int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    decisions: list[str], code: int, last: str,
) -> None:  # fmt: skip
    """After the last share it watches on; a regression there rolls back, and only then is it promoted."""
    clock = itertools.count(0, 700)
    monkeypatch.setattr(rolling, "monotonic", lambda: next(clock))
    actions = 'bake = "30m"\n' + BOTH
    assert roll(["promote"] * 3 + decisions, actions=actions) == code
    assert done(tmp_path)[-1].startswith(last)
    assert [entry["share"] for entry in records(tmp_path)[0]["bake"]] == ["100 %"] * len(decisions)


def record_of(tmp_path: Path) -> Path:
    """The record of the one rollout."""
    (path,) = (tmp_path / "reports" / "rollouts").glob("*/rollout.json")
    return path


@pytest.mark.parametrize("kept", [True, False], ids=["record", "state alone"])
def test_decided_rollback_does_not_go_on(
    kept: bool,  # noqa: FBT001
    roll: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Killed between the decision to roll back and its first step, it can be rolled back or abandoned only."""

    def killed(*_given: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rolling.Rollout, "_roll_back", killed)
        roll(["promote", "rollback"])
    if not kept:
        content = json.loads(record_of(tmp_path).read_text())
        del content["steps"][-1]["decision"]
        record_of(tmp_path).write_text(json.dumps(content))
        shutil.rmtree(record_of(tmp_path).parent / "02-50")
    before = done(tmp_path)
    assert roll(["promote"] * 2, "--unfinished=go-on") == 10
    assert "a run of it decided rollback: it cannot go on" in capsys.readouterr().err
    assert done(tmp_path) == before
    assert roll([], "--unfinished=roll-back") == 1
    assert done(tmp_path)[-1].startswith("second ")


def test_record_that_skips_shares(roll: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A share is skipped only where its own sealed verdict and the state say that it was promoted."""
    roll(["promote", KILL])
    whole = record_of(tmp_path).read_text()
    content = json.loads(whole)
    content["steps"][1]["decision"] = "promote"
    record_of(tmp_path).write_text(json.dumps(content))
    assert roll(["promote"], "--unfinished=go-on") == 10
    assert "its record says 50 % was promoted, which cannot be confirmed" in capsys.readouterr().err
    content["steps"][1] |= content["steps"][0] | {"share": "50 %"}
    record_of(tmp_path).write_text(json.dumps(content))
    shutil.copytree(record_of(tmp_path).parent / "01-10", record_of(tmp_path).parent / "02-50")
    assert roll(["promote"], "--unfinished=go-on") == 10
    assert "copied or moved" in capsys.readouterr().err
    assert done(tmp_path) == ["share 0.1", "share 0.5"]


@pytest.mark.parametrize("content", ["{", "[]", '{"steps": [{}]}', "", None], ids=str)
def test_damaged_record(
    content: str | None, roll: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record that cannot be read says so; it cannot go on, and can be rolled back."""
    roll(["promote", KILL])
    record = record_of(tmp_path)
    record.unlink() if content is None else record.write_text(content)
    for more in ([], ["--unfinished=go-on"]):
        capsys.readouterr()
        assert roll(["promote"] * 3, *more) == 10
        assert "record cannot be read" in capsys.readouterr().err
    assert done(tmp_path) == ["share 0.1", "share 0.5"]
    assert roll([], "--unfinished=roll-back") == 1
    assert done(tmp_path)[-1].startswith("second ")


def test_act_while_unfinished(roll: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`act` carries out nothing while a rollout of the target has not ended, and names it."""
    roll(["promote", KILL])
    run = record_of(tmp_path).parent / "01-10"
    assert main.main(["act", str(run), f"--target={tmp_path / 'prod.toml'}", "--yes"]) == 10
    assert f"{run.parent.name}" in capsys.readouterr().err
    assert done(tmp_path) == ["share 0.1", "share 0.5"]
