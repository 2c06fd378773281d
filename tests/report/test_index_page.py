"""Index of a reports folder: every target, its newest run of each stage, worst first, and links that lead somewhere."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from opsverify.report.document import Document, document_html, document_markdown
from opsverify.report.index_page import page_of
from opsverify.report.model import Link, Text
from tests.support.period_runs import DAY, MONDAY, RecordedRuns

if TYPE_CHECKING:
    from pathlib import Path

NOW = MONDAY + 2 * DAY


def rows(found: Document, heading: str) -> list[tuple[str, ...]]:
    """The cells of a chapter in English, the kind of the row first."""
    (chapter,) = (one for one in found.chapters if one.heading.en == heading)
    return [(row.kind, *map(_english, row.cells)) for grid in chapter.grids for row in grid.rows]


def _english(cell: str | Text | Link) -> str:
    text = cell.text if isinstance(cell, Link) else cell
    return text.en if isinstance(text, Text) else text


def test_the_newest_run_of_each_stage_counts(tmp_path: Path) -> None:
    """An older red one does not, and the worst stage comes first."""
    recorded = RecordedRuns(tmp_path)
    recorded.add("daily", MONDAY, {"postgres.reads": "fail"})
    recorded.add("daily", MONDAY + DAY)
    recorded.add("weekly", MONDAY, {"weekly.indexes": "inconclusive"})
    recorded.add("staging", MONDAY, {"smoke.bi": "fail"})
    found = page_of(recorded.reports, NOW, "en")
    assert (found.kind, found.state.en) == ("reject", "LOOK CLOSER")
    assert [row[:2] for row in rows(found, "t")] == [("fail", "staging"), ("inconclusive", "weekly"), ("", "daily")]
    assert rows(found, "t")[2][2:] == ("accept (11-17 00:00)", "24h 00m", "")
    assert "smoke.bi: measured 3, limit <= 2" in rows(found, "t")[0][4]


def test_all_good_only_where_everything_is(tmp_path: Path) -> None:
    """A run without a verdict is red; a folder without any run is no good one."""
    recorded = RecordedRuns(tmp_path)
    assert page_of(recorded.reports, NOW, "en").state.en == "LOOK CLOSER"
    recorded.add("daily", MONDAY)
    assert page_of(recorded.reports, NOW, "en").state.en == "ALL GOOD"
    recorded.begin("daily", MONDAY + DAY)
    found = page_of(recorded.reports, NOW, "en")
    assert (found.kind, rows(found, "t")[0][0]) == ("reject", "fail")


def test_a_damaged_state_is_red_and_hides_no_other_target(tmp_path: Path) -> None:
    """Its name and why stand there."""
    recorded, other = RecordedRuns(tmp_path), RecordedRuns(tmp_path, "another")
    recorded.add("daily", MONDAY)
    other.add("daily", MONDAY + DAY)
    lines = other.state.runs.read_text().splitlines(keepends=True)
    other.state.runs.write_text(lines[1])
    found = page_of(recorded.reports, NOW, "en")
    (chapter,) = (one for one in found.chapters if one.heading.en == "another")
    assert [note.kind for note in chapter.notes] == ["fail"]
    assert rows(found, "t")[0][0] == ""
    assert found.kind == "reject"


def test_links_lead_to_the_best_page_of_a_run(tmp_path: Path) -> None:
    """The report where one was built, else the verdict; relative, whatever characters a name has."""
    recorded = RecordedRuns(tmp_path)
    daily, weekly = recorded.add("daily", MONDAY), recorded.add("weekly", MONDAY)
    (daily / "report.html").write_text("<html>")
    page = recorded.reports / "periodic" / "t" / "weekly 100%.html"
    page.parent.mkdir(parents=True)
    page.write_text("<html>")
    found = page_of(recorded.reports, NOW, "en")
    cells = [cell for chapter in found.chapters for grid in chapter.grids for row in grid.rows for cell in row.cells]
    links = [cell.href for cell in cells if isinstance(cell, Link)]
    assert links == [f"{daily.name}/report.html", f"{weekly.name}/verdict.json", "periodic/t/weekly 100%.html"]
    assert all((recorded.reports / link).is_file() for link in links)
    assert 'href="periodic/t/weekly%20100%25.html"' in document_html(found)
    assert "[weekly 100%.html](<periodic/t/weekly%20100%25.html>)" in document_markdown(found, "en")


def test_a_run_that_just_began(tmp_path: Path) -> None:
    """No age below zero where clocks differ by a little."""
    recorded = RecordedRuns(tmp_path)
    recorded.add("daily", NOW + dt.timedelta(seconds=1))
    assert rows(page_of(recorded.reports, NOW, "en"), "t")[0][3] == "0s"
