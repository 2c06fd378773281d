"""The gradual expansion: one share after the other, and all of it taken back when a step says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.cli import main
from opsverify.cli import rollout as command
from opsverify.evidence.manifest import verify_manifest
from opsverify.release import execute
from opsverify.release import rollout as rolling
from tests.release.ordered import BOTH, SHARE, done, fail, finish, note, platform_in, steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opsverify.release.execute import Platform


@pytest.fixture
def roll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Run a rollout in which each step's verification decides as told; its exit code and record."""
    asked: list[tuple[str, ...]] = []

    def run(decisions: list[str], actions: str = BOTH) -> tuple[int, dict[str, Any]]:
        left = iter(decisions)

        def verify(platform: Platform, stage: str, folder: Path, *arguments: str) -> int:
            asked.append((stage, *arguments))
            if stage == "post-rollback":
                folder.mkdir()
                (folder / "verdict.json").write_text('{"run_id": "after", "decision": "accept"}')
                return 0
            decision = next(left)
            finish(folder, platform, decision=decision)
            return {"promote": 0, "rollback": 1}.get(decision, 10)

        monkeypatch.setattr(rolling, "verify", verify)
        monkeypatch.setattr(execute, "verify", verify)
        monkeypatch.setattr(command, "project_root", lambda _target: tmp_path)
        platform = platform_in(tmp_path, actions)
        code = main.main(["rollout", f"--target={platform.target_file}", "--yes", "--window=12m"])
        [folder] = (tmp_path / "reports" / "rollouts").iterdir()
        assert verify_manifest(folder) == ()
        record = json.loads((folder / "rollout.json").read_text())
        return code, {**record, "asked": asked}

    return run


def test_promoted_step_by_step(roll: Callable[..., tuple[int, dict[str, Any]]], tmp_path: Path) -> None:
    """Each share is set and verified with its own expectation; then the whole release is promoted."""
    code, record = roll(["promote"] * 3)
    assert code == 0
    assert done(tmp_path) == ["share 0.1", "share 0.5", "share 1", "promoted"]
    assert [entry[1] for entry in record["asked"]] == ["--share=10 %", "--share=50 %", "--share=100 %"]
    assert record["asked"][0][2] == "--window=12m"
    assert [step["decision"] for step in record["steps"]] == ["promote"] * 3


def test_failed_step_rolls_all_back(roll: Callable[..., tuple[int, dict[str, Any]]], tmp_path: Path) -> None:
    """A rollback at any share takes everything back, verifies that, and goes no further."""
    code, record = roll(["promote", "rollback"])
    assert code == 1
    assert done(tmp_path) == ["share 0.1", "share 0.5", "first", "second run-02-50"]
    assert record["asked"][-1][0] == "post-rollback"
    assert (record["stands"], record["rollback_exit_code"]) == ("rolled back at 50 %", 0)


def test_hold_stops_and_says_where(roll: Callable[..., tuple[int, dict[str, Any]]], tmp_path: Path) -> None:
    """What could not be decided is neither promoted nor rolled back."""
    code, record = roll(["promote", "hold"])
    assert code == 10
    assert done(tmp_path) == ["share 0.1", "share 0.5"]
    assert record["stands"].startswith("on hold at 50 %")


def test_share_that_cannot_be_set_rolls_back(roll: Callable[..., tuple[int, dict[str, Any]]], tmp_path: Path) -> None:
    """Nobody knows what a failed command has left: everything goes back."""
    broken = SHARE.replace(json.dumps(note("share {share}")), json.dumps([*fail(), "{share}"]))
    code, record = roll([], BOTH.replace(SHARE, broken))
    assert (code, record["stands"]) == (1, "10 % could not be set")
    assert done(tmp_path)[0] == "first"


def test_failed_promotion_rolls_back(roll: Callable[..., tuple[int, dict[str, Any]]], tmp_path: Path) -> None:
    """The last step is no exception."""
    code, _ = roll(["promote"] * 3, steps("promote", fail()) + steps("rollback", note("back")) + SHARE)
    assert code == 1
    assert done(tmp_path)[-1] == "back"


@pytest.mark.parametrize(("argument", "code"), [("--dry-run", 0), (None, 10)])
def test_nothing_is_done_without_permission(argument: str | None, code: int, tmp_path: Path) -> None:
    """The plan is shown, and no share set."""
    platform = platform_in(tmp_path)
    more = [argument] if argument else []
    assert main.main(["rollout", f"--target={platform.target_file}", *more]) == code
    assert done(tmp_path) == []
