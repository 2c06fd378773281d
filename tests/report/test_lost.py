"""Data loss on the page of a recovery: from the answers in the run's folder, never from messages of checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.evidence.redact import Redactor
from opsverify.evidence.run_folder import RunFolder
from opsverify.recovery.verify.finding import Finding
from opsverify.recovery.verify.loss import Keys, Loss
from opsverify.recovery.verify.questions import save_answer
from opsverify.report.lost import losses_of, lost_of
from opsverify.report.model import NOT_KNOWN, Text
from opsverify.report.runs import RehearsalRun, read_run

if TYPE_CHECKING:
    from pathlib import Path


def _bucket(hour: int, recorded: int, found: int) -> Loss:
    since, until = f"2026-11-23T{hour:02}:00Z", f"2026-11-23T{hour + 1:02}:00Z"
    return Loss(table="llm_calls", kind="bucket", where=since, recorded=recorded, found=found, since=since, until=until)


def _finished(folder: Path, answers: dict[str, Finding], checks: dict[str, str]) -> RehearsalRun:
    """Make a finished run of post-dr with `checks` (outcome by id) and `answers` in its folder."""
    for name, answer in answers.items():
        assert save_answer(RunFolder("r", folder), Redactor(()), name, answer) is answer
    listed: list[dict[str, Any]] = [
        {"id": name, "outcome": outcome, "message": f"message of {name}", "measured": None}
        for name, outcome in checks.items()
    ]
    (folder / "verdict.json").write_text(json.dumps({"stage": "post-dr", "checks": listed}), encoding="utf-8")
    return read_run(folder)


@pytest.mark.parametrize(
    ("recorded", "found", "missing", "changed", "added"),
    [
        (21, 0, "21", "0", "0"),
        (0, 5, "0", "0", "5"),
        (15, 3, "at least 12 of 15", "not known", "not known"),
        (4, 6, "not known", "not known", "at least 2 to 4"),
        (8, 8, "not known", "some of 8", "not known"),
    ],
)
def test_two_counts_give_lower_bounds(
    tmp_path: Path, recorded: int, found: int, missing: str, changed: str, added: str
) -> None:
    """Further rows may be missing, and as many added; what the counts do not show is not known, and never 0."""
    answer = Finding(21, "differ", ("p",), losses=(_bucket(14, recorded, found),), buckets=1)
    (row,) = losses_of(_finished(tmp_path, {"buckets/llm_calls": answer}, {}))
    cells = [cell.en if isinstance(cell, Text) else cell for cell in row.cells]
    assert cells == ["2026-11-23T14:00Z", missing, changed, added, "2026-11-23T14:00Z ~ 2026-11-23T15:00Z"]


def test_many_buckets_are_summed_up_and_keys_counted(tmp_path: Path) -> None:
    """Six buckets of a table are shown, the others in one line, the keys in another: the page stays readable."""
    losses = tuple(_bucket(hour, 10, 4) for hour in range(10))
    keys = Keys(missing=tuple(map(str, range(60))), changed=("77",))
    answer = Finding(700, "differ", ("p",), losses=losses, keys=keys, buckets=48)
    run = _finished(tmp_path, {"buckets/llm_calls": answer}, {"ledger.buckets[llm_calls]": "fail"})
    *buckets, rest, by_key = losses_of(run)
    assert len(buckets) == 6
    assert rest.cells[:3] == (Text("그 밖에 4개", "and 4 more"), Text("24 이상", "at least 24"), NOT_KNOWN)
    assert by_key.cells[1:4] == ("60", "1", "0")
    assert [note.text.en for note in lost_of(run)] == [
        "buckets that differ: 2026-11-23T00:00Z ~ 2026-11-23T10:00Z",
        "keys of llm_calls: missing 0, 1, 2, 3, 4 and 55 more; changed 77",
        "compared: 1 tables, 48 buckets, 700 rows; 10 buckets differ",
        "0 of 1 data checks pass",
    ]


def test_the_cause_of_a_loss_is_above_its_counts(tmp_path: Path) -> None:
    """A lost page is above eighteen checks of dates and lines with lower counts, which are one line."""
    counts = {f"sql.fact_daily_production[L{line}]": "fail" for line in range(18)}
    pages, lines, *_ = lost_of(_finished(tmp_path, {}, {**counts, "consistency.pages": "fail"}))
    assert pages.text.en == "consistency.pages: message of consistency.pages"
    assert lines.text.en.endswith("(and 17 more)")


def test_a_table_may_have_any_name(tmp_path: Path) -> None:
    """The file of its answer is inside the run's folder, and its name is read unchanged."""
    run = _finished(tmp_path, {"buckets/../../odd name": Finding(1, "of")}, {})
    assert list(run.answers) == ["buckets/../../odd name"]
    assert len(list((tmp_path / "answers").iterdir())) == 1
