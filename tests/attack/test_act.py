"""Tries to mislead `act`: each is refused with its reason, and no step runs."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from opsverify.cli import act as command
from opsverify.cli import evidence, main
from opsverify.config.load import load_target
from opsverify.config.placeholders import resolve
from opsverify.errors import EvidenceError, Refused
from opsverify.evidence.once_read import read_once
from opsverify.evidence.target_state import TargetState
from opsverify.release import act as acting
from tests.release.ordered import BOTH, done, finish, platform_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opsverify.release.execute import Platform


def state(platform: Platform) -> TargetState:
    """The target's state."""
    return TargetState.of(platform.root / "reports", "prod")


def fifo(run: Path, _platform: Platform) -> None:
    """A FIFO in the verdict's place."""
    (run / "verdict.json").unlink()
    os.mkfifo(run / "verdict.json")


def linked(run: Path, _platform: Platform) -> None:
    """A link in the verdict's place."""
    (run / "verdict.json").rename(run.parent / "elsewhere.json")
    (run / "verdict.json").symlink_to(run.parent / "elsewhere.json")


def hard_link(run: Path, _platform: Platform) -> None:
    """A second name of the verdict."""
    os.link(run / "verdict.json", run.parent / "again.json")


def folder(run: Path, _platform: Platform) -> None:
    """A folder in the manifest's place."""
    (run / "manifest.sha256").unlink()
    (run / "manifest.sha256").mkdir()


def signature_fifo(run: Path, _platform: Platform) -> None:
    """A FIFO in the signature's place."""
    (run / "signature.dsse.json").unlink()
    os.mkfifo(run / "signature.dsse.json")


def newer_killed(run: Path, platform: Platform) -> None:
    """A newer run that has no verdict."""
    state(platform).begin("run-killed", "prod-canary", run.parent / "killed")


def later_hold_deleted(run: Path, platform: Platform) -> None:
    """A later hold whose folder is gone."""
    shutil.rmtree(finish(run.parent / "later", platform, decision="hold"))


def rolled_back_elsewhere(run: Path, platform: Platform) -> None:
    """A newer run, of another rollout, that rolled back."""
    finish(run.parent.parent / "rollouts" / "b" / "01-10", platform, decision="rollback")
    state(platform).use("run-01-10", "prod-canary", "rollback")


def state_gone(_run: Path, platform: Platform) -> None:
    """The target's state removed."""
    shutil.rmtree(state(platform).folder)


def state_edited(_run: Path, platform: Platform) -> None:
    """A line of the state altered."""
    path = state(platform).runs
    path.write_text(path.read_text().replace("prod-canary", "staging", 1))


def state_cut(run: Path, platform: Platform) -> None:
    """The newest lines of the state removed."""
    newer_killed(run, platform)
    path = state(platform).runs
    path.write_text("\n".join(path.read_text().split("\n")[:-2]) + "\n")


def state_middle_cut(run: Path, platform: Platform) -> None:
    """A line in the middle of the state removed."""
    newer_killed(run, platform)
    lines = state(platform).runs.read_text().splitlines(keepends=True)
    state(platform).runs.write_text("".join([lines[0], *lines[2:]]))


def other_url(_run: Path, platform: Platform) -> None:
    """Another service measured."""
    text = platform.target_file.read_text()
    platform.target_file.write_text(text.replace("127.0.0.1:9", "127.0.0.1:10"))


def other_limit(_run: Path, platform: Platform) -> None:
    """A limit added."""
    platform.target_file.write_text(platform.target_file.read_text() + '[limits]\nrto = "<= 31 m"\n')


def waived(_run: Path, platform: Platform) -> None:
    """A waiver added."""
    until = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)).isoformat()
    more = f'[[waivers]]\ncheck = "canary.error_rate"\nreason = "because it is"\nowner = "me"\nuntil = {until}\n'
    platform.target_file.write_text(platform.target_file.read_text() + more)


def other_suite(_run: Path, platform: Platform) -> None:
    """A check added after the run."""
    (platform.root / "checks").mkdir()
    (platform.root / "checks" / "test_more.py").write_text("")


def suite_data(name: str) -> Callable[[Path, Platform], None]:
    """A file of a suite that is no code, added after the run."""

    def change(_run: Path, platform: Platform) -> None:
        path = platform.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")

    change.__name__ = name
    return change


def only_begun(_run: Path, platform: Platform) -> None:
    """The state says that the run was begun, and no more."""
    path = state(platform).runs
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    (state(platform).folder / "head.json").write_text('{"lines": 1}')


TRIES: dict[Callable[[Path, Platform], None], str] = {
    fifo: "not a regular file",
    linked: "not a regular file but a link",
    hard_link: "2 names",
    folder: "manifest.sha256",
    signature_fifo: "not a regular file",
    newer_killed: "run-killed was begun and has no verdict",
    later_hold_deleted: "later run run-later decided hold",
    rolled_back_elsewhere: "rolled back",
    state_gone: "not begun in this project",
    state_edited: "altered after it was written",
    state_cut: "last lines were removed",
    state_middle_cut: "does not follow the line before",
    other_url: "target has changed since: services.a.url",
    other_limit: "target has changed since: limits.rto",
    waived: "target has changed since: waivers",
    other_suite: "suites changed",
    suite_data("smoke/journeys.toml"): "synthetic.journeys",
    suite_data("smoke/more.toml"): "suites changed",
    suite_data("checks/plan.toml"): "suites changed",
    suite_data("dr_validation/sql/1.sql"): "suites changed",
    only_begun: "holds no decision of it",
}


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Make the target, in a project of its own."""
    monkeypatch.setattr(command, "project_root", lambda *_given: tmp_path)
    made = platform_in(tmp_path)
    target, _ = load_target(made.target_file)
    return type(made)(target, made.target_file, tmp_path, made.redactor, made.write)


def carry(run: Path | str, platform: Platform) -> int:
    """Act on a run."""
    return main.main(["act", str(run), f"--target={platform.target_file}", "--yes"])


@pytest.mark.parametrize("how", TRIES, ids=lambda how: how.__name__)
def test_refused(
    how: Callable[[Path, Platform], None], platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each try is refused with its reason, and nothing is done."""
    run = finish(tmp_path / "reports" / "1", platform, decision="promote")
    how(run, platform)
    assert carry(run, platform) == 10
    assert TRIES[how] in capsys.readouterr().err
    assert done(tmp_path) == []


def test_copied_and_used_twice(platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy is refused before and after the first use, and so is the run itself a second time."""
    run = finish(tmp_path / "reports" / "1", platform, decision="promote")
    copy = tmp_path / "copy" / "1"
    shutil.copytree(run, copy)
    assert carry(copy, platform) == 10
    assert "copied or moved" in capsys.readouterr().err
    assert carry(run, platform) == 0
    shutil.rmtree(run.parent / "actions")
    assert carry(run, platform) == 10
    assert "carried out before" in capsys.readouterr().err
    assert done(tmp_path) == ["promoted"]


def test_latest_is_the_newest_begun(platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`act latest` refuses even a rollback when a newer run was killed before its verdict."""
    run = finish(tmp_path / "reports" / "1", platform)
    (tmp_path / "reports" / "latest").symlink_to(run)
    newer_killed(run, platform)
    assert carry("latest", platform) == 10
    assert "not the newest: run-killed" in capsys.readouterr().err


def test_decision_is_judged_again(platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A signed promotion whose own checks fail, are missing or prove nothing is refused."""
    for name, checks in {"a": ["fail"], "b": ["inconclusive"], "c": [], "d": ["waived"]}.items():
        entries = [{"id": "x", "outcome": outcome} for outcome in checks]
        run = finish(tmp_path / "reports" / name, platform, decision="promote", checks=entries)
        assert carry(run, platform) == 10
        assert "its checks decide" in capsys.readouterr().err


def test_keyless_production(tmp_path: Path, platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    """On production an unsigned run is refused also where the target has no key."""
    text = platform.target_file.read_text().replace('[evidence]\nsigning_key = { file = "key.pem" }\n', "")
    platform.target_file.write_text(text)
    target, _ = load_target(platform.target_file)
    keyless = type(platform)(target, platform.target_file, tmp_path, platform.redactor, platform.write)
    run = finish(tmp_path / "reports" / "1", keyless, decision="promote", signed=False)
    assert carry(run, platform) == 10
    assert "not signed, and prod is production" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["prod", "../prod", "/tmp/prod.toml", "prod.toml", "", "-x"])  # noqa: S108
def test_target_of_the_project_only(
    name: str, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name in a verdict never leads to a file in the run's or the current folder."""
    run = finish(tmp_path / "reports" / "1", platform, target=name)
    (run / "prod.toml").write_text(BOTH)
    monkeypatch.chdir(run)
    with pytest.raises(Refused, match=r"no .*targets/prod.toml|is no name of a target"):
        acting.act(str(run), None, tmp_path, yes=True, dry_run=False)


@pytest.mark.parametrize(
    "code",
    [
        "import sys; print('WARNING: deprecated', file=sys.stderr)",
        "print('two words')",
        "print('--force')",
        "print('a\\x1b[2J')",
        "print('a\\nb')",
        "print()",
        "print('$(reboot)')",
        "print('a;b')",
    ],
)
def test_value_that_is_no_word(code: str, tmp_path: Path) -> None:
    """Warnings, options, several words, control characters and nothing at all never reach a command."""
    more = f'[actions.values.v]\nrun = {json.dumps([sys.executable, "-c", code])}\ntimeout = "180s"\n'
    target = platform_in(tmp_path, more).target
    with pytest.raises(Refused, match="nothing was done"):
        resolve([["x", "{v}"]], target.actions.values, {}, None)


def test_value_beside_a_warning(tmp_path: Path) -> None:
    """A warning on standard error is no part of the value."""
    code = "import sys; print('41'); print('WARNING', file=sys.stderr)"
    more = f'[actions.values.v]\nrun = {json.dumps([sys.executable, "-c", code])}\ntimeout = "180s"\n'
    target = platform_in(tmp_path, more).target
    assert resolve([["x", "{v}"]], target.actions.values, {}, None) == {"v": "41"}


def test_size_limit(tmp_path: Path) -> None:
    """A sealed file larger than the limit is not read whole."""
    (tmp_path / "x").write_bytes(b"12345")
    assert read_once(tmp_path / "x", 5) == b"12345"
    with pytest.raises(EvidenceError, match="larger than 4"):
        read_once(tmp_path / "x", 4)


def edited(run: Path, platform: Platform) -> None:
    """Turn a run's hold into a promotion, its checks included."""
    verdict = json.loads((run / "verdict.json").read_text())
    verdict |= {"decision": "promote", "outcome": "pass", "exit_code": 0}
    verdict["actions"] = [{"argv": list(step.run)} for step in platform.target.actions.promote]
    verdict["checks"] = [{**check, "outcome": "pass"} for check in verdict["checks"]]
    (run / "verdict.json").write_text(json.dumps(verdict))


@pytest.fixture
def staging(tmp_path: Path, platform: Platform) -> Platform:
    """Make a target without a key that is not production."""
    text = platform.target_file.read_text().replace('[evidence]\nsigning_key = { file = "key.pem" }\n', "")
    platform.target_file.write_text(text.replace('environment = "production"', 'environment = "staging"'))
    target, _ = load_target(platform.target_file)
    return type(platform)(target, platform.target_file, tmp_path, platform.redactor, platform.write)


@pytest.mark.parametrize("decision", ["hold", "rollback", "promote"])
def test_unsigned_verdict_edited(
    decision: str, staging: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unsigned verdict other than the one that was sealed is refused, whatever it decides."""
    run = finish(tmp_path / "reports" / "1", staging, decision=decision, signed=False, environment="staging")
    edited(run, staging)
    assert carry(run, staging) == 10
    assert "one of them was altered" in capsys.readouterr().err
    assert done(tmp_path) == []


def test_unsigned_verdict_edited_elsewhere(
    staging: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a key, and where no state knows what was sealed, the sums say nothing of the verdict: that is told."""
    monkeypatch.setattr(evidence, "project_root", lambda *_given: tmp_path)
    run = finish(tmp_path / "reports" / "1", staging, decision="hold", signed=False, environment="staging")
    edited(run, staging)
    state_gone(run, staging)
    main.main(["evidence", str(run)])
    told = "1: files of the manifest complete and unaltered; verdict not covered by a verified signature"
    assert f"{told}: the run is not signed" in capsys.readouterr().out


def test_fifo_beside_the_run(platform: Platform, tmp_path: Path) -> None:
    """A FIFO in a sibling's folder is no verdict, and nothing waits for its writer."""
    run = finish(tmp_path / "reports" / "1", platform, decision="promote")
    (run.parent / "x").mkdir()
    os.mkfifo(run.parent / "x" / "verdict.json")
    assert carry(run, platform) == 0


@pytest.mark.parametrize("kept", [True, False], ids=["state", "no state"])
def test_signature_removed(
    kept: bool,  # noqa: FBT001
    platform: Platform,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a key, an edited verdict and a removed signature both show."""
    monkeypatch.setattr(evidence, "project_root", lambda *_given: tmp_path)
    run = finish(tmp_path / "reports" / "1", platform, decision="hold")
    edited(run, platform)
    (run / "signature.dsse.json").unlink()
    if not kept:
        state_gone(run, platform)
    assert main.main(["evidence", str(run)]) == 10
    said = capsys.readouterr().out
    assert "missing: the run's plan says that it is signed" in said
    assert ("not the verdict that was sealed" in said) is kept
    assert "complete and unaltered" not in said
