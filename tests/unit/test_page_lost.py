"""What was lost, as the page of a recovery shows it: from what the run kept, never from its messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from opsverify.came_back import answer_file
from opsverify.page import lost
from opsverify.page.runs import read_run
from opsverify.recovery.returned import Compared, Finding

if TYPE_CHECKING:
    from pathlib import Path

LOSSES = (
    ("2026-11-23T14:00Z", 15, 3),
    ("2026-11-23T15:00Z", 21, 0),
    ("2026-11-24T02:00Z", 8, 8),
    ("2026-11-24T03:00Z", 4, 6),
)


def finished(folder: Path, answers: dict[str, Finding], checks: dict[str, str]) -> Path:
    """Make a finished run of post-dr with `checks` (outcome by id) that kept `answers`."""
    for name, answer in answers.items():
        (folder / answer_file(name)).write_text(json.dumps(answer.as_json()), encoding="utf-8")
    listed: list[dict[str, Any]] = [
        {"id": name, "outcome": outcome, "message": f"{name} said", "measured": None}
        for name, outcome in checks.items()
    ]
    (folder / "verdict.json").write_text(json.dumps({"stage": "post-dr", "checks": listed}), encoding="utf-8")
    return folder


def test_a_table_that_lost_rows_is_one_row_with_buckets_rows_and_window(tmp_path: Path) -> None:
    """Missing, added and changed are told apart and summed over all buckets, not only over those a message names."""
    compared = Compared("llm_calls", 48, 700, LOSSES, "keys missing 100, 101")
    found = Finding(700, "of them differ", ("p",), compared=compared)
    run = read_run(finished(tmp_path, {"buckets/llm_calls": found}, {"ledger.buckets[llm_calls]": "fail"}))
    (row,) = lost.tables_of(run)
    assert row.heading.en == "llm_calls"
    assert row.cells == ("4 / 48", "2026-11-23T14:00Z - 2026-11-24T03:00Z", "33", "2", "1", "missing 100, 101")
    assert len(row.cells) + 1 == len(lost.HEADS)
    (note,) = lost.notes_of(run)
    assert note.text.en == "compared: 1 tables, 48 closed buckets, 700 rows; 0 of 1 checks of the data agree"


def test_without_the_original_the_first_buckets_are_named(tmp_path: Path) -> None:
    """Nobody could say which keys: the buckets themselves are what there is."""
    found = Finding(700, "of them differ", ("p",), compared=Compared("llm_calls", 48, 700, LOSSES[:1]))
    (row,) = lost.tables_of(read_run(finished(tmp_path, {"buckets/llm_calls": found}, {})))
    assert (row.cells[1], row.cells[-1]) == ("2026-11-23T14:00Z", "2026-11-23T14:00Z")


def test_nothing_lost_says_what_was_compared(tmp_path: Path) -> None:
    """An empty list would read like a look that never was."""
    whole = {"buckets/a": Finding(7, "", compared=Compared("a", 2, 7)), "sequences": Finding(3, "")}
    run = read_run(finished(tmp_path, whole, {"ledger.buckets[a]": "pass", "consistency.sequences": "pass"}))
    assert lost.tables_of(run) == ()
    assert [note.text.en for note in lost.notes_of(run)] == [
        "compared: 1 tables, 2 closed buckets, 7 rows; 2 of 2 checks of the data agree"
    ]


def test_what_explains_a_loss_comes_before_what_counts_it(tmp_path: Path) -> None:
    """A lost page stands above eighteen dates and lines that count less, which are one line."""
    counts = {f"sql.fact_daily_production[L{line}]": "fail" for line in range(18)}
    run = read_run(finished(tmp_path, {}, {**counts, "consistency.pages": "fail"}))
    pages, lines, _ = lost.notes_of(run)
    assert pages.text.en == "consistency.pages: consistency.pages said"
    assert lines.text.en.endswith("(and 17 more)")


def test_answers_survive_being_kept(tmp_path: Path) -> None:
    """JSON makes lists of tuples, and they are tuples again."""
    found = Finding(1, "of", ("p",), None, ("n",), Compared("t", 1, 2, LOSSES))
    assert Finding.of_json(json.loads(json.dumps(found.as_json()))) == found
    assert read_run(finished(tmp_path, {"buckets/t": found}, {})).compared == (found.compared,)
