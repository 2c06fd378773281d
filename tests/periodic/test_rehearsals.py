"""Rehearsals by their sealed evidence: the newest counts, for each line the newest that covered it; none altered."""

from __future__ import annotations

import datetime as dt
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.core.runbook import lines_of
from opsverify.errors import Inconclusive
from opsverify.evidence.run_folder import RunFolder
from opsverify.evidence.seal import seal
from opsverify.evidence.target_state import TargetState
from opsverify.evidence.trusted_keys import TrustedKey
from opsverify.limits import Limit
from opsverify.periodic.rehearsals import Rehearsals, not_passed
from tests.evidence.keys import FOREIGN, PRIVATE, PUBLIC

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)
ALL = {line.id: "pass" for line in lines_of(None).values() if "rehearsal" in line.stages}
OWN = TrustedKey("own", PUBLIC)
QUARTER = Limit.parse("<= 92 d", "s")


def rehearse(
    reports: Path,
    outcomes: Mapping[str, str],
    *,
    days_ago: float = 1.0,
    stage: str = "rehearsal",
    decision: str = "accept",
    key: str | None = PRIVATE,
) -> Path:
    """Leave a finished run with one check for each line; its folder."""
    state, ended = TargetState.of(reports, "t"), NOW - days_ago * DAY
    folder = RunFolder.create(stage, ended - dt.timedelta(minutes=3), reports, None)
    state.begin(folder.run_id, stage, folder.path)
    checks: list[dict[str, Any]] = [
        {"id": f"c.{line}", "lines": [line], "outcome": outcome, "measurements": [
            {"name": "restore", "measured": 42.0, "unit": "s"}, {"name": "rows", "measured": 3, "unit": "count"},
        ]}
        for line, outcome in outcomes.items()
    ]  # fmt: skip
    verdict = {
        "run_id": folder.run_id, "stage": stage, "decision": decision, "checks": checks, "target": "t",
        "outcome": "pass" if decision == "accept" else "fail",
        "started_at": (ended - dt.timedelta(minutes=3)).isoformat(), "finished_at": ended.isoformat(),
    }  # fmt: skip
    state.finish(folder.run_id, stage, decision, seal(folder, verdict, key))
    return folder.path


def review(reports: Path, *keys: TrustedKey) -> Rehearsals:
    """What a quarter's review sees."""
    return Rehearsals(TargetState.of(reports, "t"), keys, "t", NOW)


def test_a_signed_and_whole_rehearsal_is_shown_with_age_and_signer(tmp_path: Path) -> None:
    """No problem, its age from its own signed end, every line covered, and what it measured in seconds."""
    rehearse(tmp_path, ALL, days_ago=3)
    found = review(tmp_path, OWN).newest()
    assert (found.problems, found.age_s, found.run.decision) == ((), 3 * DAY.total_seconds(), "accept")
    assert "signed by key" in str(found.name)
    assert review(tmp_path, OWN).uncovered(QUARTER) == ()
    assert found.measured("c.5/objectives") == (("restore", 42.0),)


def test_without_a_rehearsal_there_is_nothing_to_say(tmp_path: Path) -> None:
    """Inconclusive, with the command to run; another stage's run is no rehearsal."""
    with pytest.raises(Inconclusive, match="run opsverify rehearse --target t"):
        review(tmp_path).newest()
    rehearse(tmp_path, ALL, stage="daily")
    with pytest.raises(Inconclusive, match="no finished rehearsal"):
        review(tmp_path).of_line("5-3/restore")


def test_the_newest_counts_also_where_it_was_rejected(tmp_path: Path) -> None:
    """An accepted one before it does not make up for it."""
    rehearse(tmp_path, ALL, days_ago=9)
    rehearse(tmp_path, ALL | {"5-3/restore": "fail"}, decision="reject")
    found = review(tmp_path, OWN)
    assert found.newest().run.decision == "reject"
    assert not_passed(found.of_line("5-3/restore").of_line("5-3/restore")) == ["c.5-3/restore fail"]


def test_each_line_has_the_newest_run_that_covered_it(tmp_path: Path) -> None:
    """A recovery after a disaster has no objectives: those of the rehearsal before it count, with their own age."""
    rehearse(tmp_path, ALL, days_ago=80)
    rehearse(tmp_path, {"5-3/restore": "pass", "5-5/consistency": "pass"}, days_ago=2, stage="post-dr")
    found = review(tmp_path, OWN)
    assert found.of_line("5-3/restore").age_s == 2 * DAY.total_seconds()
    assert found.of_line("5/objectives").age_s == 80 * DAY.total_seconds()


def test_a_line_that_none_covered_is_named(tmp_path: Path) -> None:
    """A rehearsal of the database alone leaves the rest to memory."""
    rehearse(tmp_path, {line: "pass" for line in ALL if line != "5/objectives"})
    found = review(tmp_path, OWN)
    assert found.uncovered(QUARTER) == ("5/objectives",)
    with pytest.raises(Inconclusive, match="no check of line 5/objectives"):
        found.of_line("5/objectives")


def test_lines_count_as_covered_for_a_quarter_by_all_its_runs(tmp_path: Path) -> None:
    """Two runs cover them together; one that is too old covers nothing, and evidence that is not needed may be gone."""
    shutil.rmtree(rehearse(tmp_path, ALL, days_ago=120))
    rehearse(tmp_path, {line: "pass" for line in ALL if line != "5-3/restore"}, days_ago=40)
    rehearse(tmp_path, {"5-3/restore": "pass"}, days_ago=2, stage="post-dr")
    assert review(tmp_path, OWN).uncovered(QUARTER) == ()
    old = tmp_path / "old"
    rehearse(old, ALL, days_ago=100)
    rehearse(old, {"5-3/restore": "pass"}, days_ago=2, stage="post-dr")
    assert set(review(old, OWN).uncovered(QUARTER)) == ALL.keys() - {"5-3/restore"}


def test_what_is_not_signed_where_a_key_is_known_is_a_problem(tmp_path: Path) -> None:
    """As is a signature by another key; without any key the sums alone are verified, and it says so."""
    rehearse(tmp_path, ALL, key=None)
    assert any("not signed" in one for one in review(tmp_path, OWN).newest().problems)
    assert review(tmp_path).newest().problems == ()
    assert "not signed" in str(review(tmp_path).newest().name)
    rehearse(tmp_path, ALL, days_ago=0.5)
    assert any("no valid signature" in one for one in review(tmp_path, TrustedKey("x", FOREIGN)).newest().problems)


def test_a_key_that_was_replaced_still_proves_what_it_signed(tmp_path: Path) -> None:
    """One of several keys signed it; revoked, it proves nothing."""
    rehearse(tmp_path, ALL)
    foreign = TrustedKey("new", FOREIGN)
    assert review(tmp_path, foreign, OWN).newest().problems == ()
    revoked = TrustedKey("old", PUBLIC, revoked=NOW, reason="leaked")
    assert any("revoked" in one for one in review(tmp_path, foreign, revoked).newest().problems)


@pytest.mark.parametrize("damage", ["verdict", "evidence", "replaced"])
def test_altered_evidence_is_a_problem_and_no_older_run_hides_it(tmp_path: Path, damage: str) -> None:
    """A changed verdict, a file more, and a whole other run under the same name."""
    rehearse(tmp_path, ALL, days_ago=9)
    folder = rehearse(tmp_path, ALL)
    if damage == "verdict":
        file = folder / "verdict.json"
        file.write_text(file.read_text(encoding="utf-8").replace("42.0", "41.0"), encoding="utf-8")
    elif damage == "evidence":
        (folder / "more.txt").write_text("x", encoding="utf-8")
    else:
        other = rehearse(tmp_path / "elsewhere", ALL, days_ago=2)
        shutil.rmtree(folder)
        shutil.copytree(other, folder)
    assert review(tmp_path, OWN).newest().problems
    assert review(tmp_path, OWN).of_line("5-3/restore").problems


def test_evidence_that_is_gone_holds_and_pruned_evidence_is_passed_over(tmp_path: Path) -> None:
    """Nothing can be said of a folder that was taken away; what `evidence prune` removed is known to be removed."""
    rehearse(tmp_path, ALL, days_ago=9)
    folder = rehearse(tmp_path, ALL)
    shutil.rmtree(folder)
    with pytest.raises(Inconclusive, match="put it back, or run opsverify rehearse"):
        review(tmp_path, OWN).newest()
    TargetState.of(tmp_path, "t").prune(folder.name, "rehearsal")
    assert review(tmp_path, OWN).newest().age_s == 9 * DAY.total_seconds()


def test_a_run_of_the_future_is_a_problem(tmp_path: Path) -> None:
    """Its age would be within any limit."""
    rehearse(tmp_path, ALL, days_ago=-1)
    assert review(tmp_path).newest().problems
