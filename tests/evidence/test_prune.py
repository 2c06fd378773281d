"""Retention: what goes, what always stays, and a chain that can be proven afterwards."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.evidence import prune
from opsverify.evidence.folder_lock import lock_folder
from opsverify.evidence.prune import KeptRun, RunRetention, finish_removals, remove, runs_in
from opsverify.evidence.target_state import PRUNED, TargetState
from tests.support.finished_run import finish

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
AGES = st.integers(min_value=0, max_value=1000)


def _runs(ages: list[tuple[str, str, int]], folder: Any = None) -> list[KeptRun]:  # noqa: ANN401 - not used
    return [
        KeptRun(folder, f"r{number:03}", stage, target, NOW - dt.timedelta(days=age))
        for number, (target, stage, age) in enumerate(ages)
    ]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["daily", "rehearsal"]), AGES), max_size=30),
    st.integers(0, 5),
    AGES,
    st.booleans(),
)
def test_what_must_stay_stays(ages: list[tuple[str, str, int]], keep: int, days: int, rehearsals: bool) -> None:  # noqa: FBT001 - a case
    """The newest of each target and stage, the newest `keep`, the young, this year's rehearsals; the rest goes."""
    runs = _runs(ages)
    gone = RunRetention(keep, dt.timedelta(days=days), rehearsals).removable(runs, NOW)
    for target, stage in {(run.target, run.stage) for run in runs}:
        family = sorted((r for r in runs if (r.target, r.stage) == (target, stage)), key=lambda r: (r.ended, r.run_id))
        assert not set(family[-max(1, keep) :]) & set(gone)
        for run in family[: -max(1, keep)]:
            young = NOW - run.ended <= dt.timedelta(days=days)
            this_year = stage == "rehearsal" and run.ended.year == NOW.year and not rehearsals
            assert (run in gone) == (not young and not this_year)
    assert gone == sorted(gone, key=lambda run: (run.ended, run.run_id))


def _finished(reports: Path, run_id: str, ended: str) -> KeptRun:
    """A run that the chain knows from its beginning to its end."""
    folder = reports / run_id
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{}")
    state = TargetState.of(reports, "t")
    state.begin(run_id, "daily", folder)
    finish(folder, run_id=run_id, target="t", stage="daily", finished_at=ended)
    state.finish(run_id, "daily", "accept", hashlib.sha256((folder / "verdict.json").read_bytes()).hexdigest())
    return next(run for run in runs_in(reports) if run.run_id == run_id)


def test_the_chain_is_provable_over_what_was_pruned(tmp_path: Path) -> None:
    """The chain is whole, says what was removed, and still has the sum of the verdict that went."""
    old = _finished(tmp_path, "20250101T000000Z-daily-aaaa", "2025-01-01T00:00:00.000Z")
    _finished(tmp_path, "20260101T000000Z-daily-bbbb", "2026-01-01T00:00:00.000Z")
    verdict = hashlib.sha256((old.folder / "verdict.json").read_bytes()).hexdigest()
    assert RunRetention(1, dt.timedelta(days=30)).removable(list(runs_in(tmp_path)), NOW) == [old]
    assert remove(old, tmp_path) is None
    assert not old.folder.exists()
    entries = [line.content for line in TargetState.of(tmp_path, "t").read().lines]
    assert [entry["run_id"] for entry in entries if entry["event"] == PRUNED] == [old.run_id]
    assert verdict in [entry.get("verdict_sha256") for entry in entries]
    assert [run.run_id for run in runs_in(tmp_path)] == ["20260101T000000Z-daily-bbbb"]


@pytest.mark.parametrize("why", ["altered", "lives", "unknown"])
def test_what_cannot_be_proven_is_not_removed(tmp_path: Path, why: str) -> None:
    """Altered evidence, the folder of a run that lives, and one that no chain knows stay, with the reason."""
    run = _finished(tmp_path, "20250101T000000Z-daily-aaaa", "2025-01-01T00:00:00.000Z")
    if why == "altered":
        (run.folder / "plan.json").write_text("{ }")
    if why == "lives":
        lock_folder(run.folder)
    if why == "unknown":
        TargetState.of(tmp_path, "t").runs.unlink()
        TargetState.of(tmp_path, "t").folder.joinpath("head.json").unlink()
    said = remove(run, tmp_path)
    assert said is not None
    assert {"altered": "altered", "lives": "another run", "unknown": "not in the chain"}[why] in said
    assert run.folder.exists()


def test_folders_of_others_are_passed_over(tmp_path: Path) -> None:
    """Links, files, folders without a verdict or with half of one, and the state are no runs."""
    (tmp_path / "latest").symlink_to("gone")
    (tmp_path / "file").touch()
    (tmp_path / "no-verdict").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "verdict.json").write_text('{"run_id": "x"')
    _finished(tmp_path, "20250101T000000Z-daily-aaaa", "2025-01-01T00:00:00.000Z")
    assert [run.run_id for run in runs_in(tmp_path)] == ["20250101T000000Z-daily-aaaa"]
    assert list(runs_in(tmp_path / "nowhere")) == []


def test_a_copy_is_no_run(tmp_path: Path) -> None:
    """Copies, and folders of another project, neither go nor count: the last real run stays."""
    real = _finished(tmp_path, "20250101T000000Z-daily-aaaa", "2025-01-01T00:00:00.000Z")
    shutil.copytree(real.folder, tmp_path / "20250101T000000Z-daily-copy")
    other = _finished(tmp_path / "other", "20260101T000000Z-daily-bbbb", "2026-01-01T00:00:00.000Z")
    shutil.copytree(other.folder, tmp_path / other.run_id)
    for name in ("..", "t/../t", ""):
        finish(_folder(tmp_path / f"of-{len(name)}"), run_id="x", target=name, finished_at="2025-01-01T00:00:00.000Z")
    assert list(runs_in(tmp_path)) == [real]
    assert RunRetention(1, dt.timedelta(days=30)).removable(list(runs_in(tmp_path)), NOW) == []


def test_an_altered_verdict_is_no_run(tmp_path: Path) -> None:
    """Its time of end could make it the newest one, or the oldest."""
    run = _finished(tmp_path, "20250101T000000Z-daily-aaaa", "2025-01-01T00:00:00.000Z")
    verdict = run.folder / "verdict.json"
    verdict.write_text(verdict.read_text().replace("2025-01-01T00", "2024-01-01T00"))
    assert list(runs_in(tmp_path)) == []


@pytest.mark.parametrize("stage", ["recorded", "renamed", "half"])
def test_a_prune_that_was_killed_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Killed after the chain says so, after the folder was set aside, and in the middle of its removal."""
    run = _finished(tmp_path, "20250101T000000Z-daily-aaaa", "2025-01-01T00:00:00.000Z")
    with monkeypatch.context() as patched:
        if stage == "recorded":
            patched.setattr(type(run.folder), "rename", _killed)
        else:
            patched.setattr(shutil, "rmtree", _killed)
        with pytest.raises(KeyboardInterrupt):
            remove(run, tmp_path)
    for plan in tmp_path.glob(".pruning/*/plan.json" if stage == "half" else "none"):
        plan.unlink()
    monkeypatch.setattr(prune, "lock_folder", lambda _folder: None)  # the killed one's ended with its process
    finish_removals(tmp_path)
    assert [remove(again, tmp_path) for again in runs_in(tmp_path)] == [None] * (stage == "recorded")
    assert not run.folder.exists()
    assert not (tmp_path / ".pruning").exists()
    entries = [line.content for line in TargetState.of(tmp_path, "t").read().lines]
    assert [entry["run_id"] for entry in entries if entry["event"] == PRUNED] == [run.run_id]


def test_what_an_earlier_version_left_half_removed_goes(tmp_path: Path) -> None:
    """The chain says pruned: what is left of it is not altered evidence."""
    run = _finished(tmp_path, "20250101T000000Z-daily-aaaa", "2025-01-01T00:00:00.000Z")
    TargetState.of(tmp_path, "t").prune(run.run_id, "daily")
    (run.folder / "plan.json").unlink()
    assert remove(run, tmp_path) is None
    assert not run.folder.exists()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _killed(*_given: Any, **_named: Any) -> None:  # noqa: ANN401 - as what it stands in for
    raise KeyboardInterrupt
