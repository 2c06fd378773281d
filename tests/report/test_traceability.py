"""Traceability: the newest sealed result of each line, the worst of its checks, and nothing of an altered run."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from opsverify.core.plan import Planned
from opsverify.core.runbook import Line
from opsverify.core.stages import Outcome
from opsverify.evidence.finished import finished_runs
from opsverify.evidence.target_state import TargetState
from opsverify.report.traceability import Carried, LineResult, carried, newest_result

if TYPE_CHECKING:
    from pathlib import Path

LINE = Line("1-daily/llm", "매일", "Daily", ("daily", "weekly"))


def planned(check_id: str, **more: Any) -> Planned:  # noqa: ANN401 - fields of Planned
    """A planned check of the line."""
    return Planned(check_id, "점검", "Check", (LINE.id,), "sev2", "kim", **more)


def seal(state: TargetState, reports: Path, number: int, *outcomes: str, stage: str = "daily") -> Path:
    """A finished run with one check of the line for each of the outcomes; its verdict."""
    folder = reports / f"run-{number}"
    folder.mkdir(parents=True)
    checks = [{"id": f"c{n}", "outcome": outcome, "lines": [LINE.id]} for n, outcome in enumerate(outcomes)]
    verdict = {"run_id": folder.name, "stage": stage, "finished_at": f"2026-11-0{number}", "checks": checks}
    content = json.dumps(verdict).encode()
    (folder / "verdict.json").write_bytes(content)
    state.begin(folder.name, stage, folder)
    state.finish(folder.name, stage, "accept", hashlib.sha256(content).hexdigest())
    return folder / "verdict.json"


def test_a_line_stands_in_each_of_its_stages() -> None:
    """With the checks of that stage's plan alone; a person's entry is no check."""
    rows = list(carried([LINE], {"daily": [planned("a"), planned("b")], "weekly": [planned("c", attests=LINE.id)]}))
    assert rows == [Carried(LINE, "daily", ("a", "b")), Carried(LINE, "weekly", ())]
    assert [row.state for row in rows] == ["never run", "never signed for"]


def test_the_newest_run_counts_by_its_worst_check(tmp_path: Path) -> None:
    """An older failure is over, a run of another stage says nothing, and one failure of two is a failure."""
    state = TargetState.of(tmp_path, "t")
    seal(state, tmp_path, 1, "fail")
    seal(state, tmp_path, 2, "pass", "inconclusive")
    seal(state, tmp_path, 3, "pass", stage="staging")
    found = newest_result(Carried(LINE, "daily", ("c0", "c1")), finished_runs(state))
    assert found is not None
    assert (found.outcome, found.at, found.source) == (Outcome.INCONCLUSIVE, "2026-11-02", "run-2")


def test_an_altered_or_removed_verdict_does_not_count(tmp_path: Path) -> None:
    """The result before it is shown, not the forged one."""
    state = TargetState.of(tmp_path, "t")
    seal(state, tmp_path, 1, "fail")
    forged = seal(state, tmp_path, 2, "fail")
    forged.write_text(forged.read_text(encoding="utf-8").replace("fail", "pass"), encoding="utf-8")
    seal(state, tmp_path, 3, "pass").unlink()
    found = newest_result(Carried(LINE, "daily", ("c0",)), finished_runs(state))
    assert found is not None
    assert (found.outcome, found.source) == (Outcome.FAIL, "run-1")


def test_the_state_is_in_the_readers_language() -> None:
    """`측정 불가`, not `inconclusive`."""
    row = Carried(LINE, "daily", ("c0",), LineResult(Outcome.INCONCLUSIVE, "", "run"))
    assert row.state == "inconclusive (run)"
    assert row.state.ko.startswith("측정 불가")
