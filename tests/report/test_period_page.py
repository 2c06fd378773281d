"""Page of a week: what was missed, what is red, what changed, and "all good" only where nothing of that is there."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from opsverify.cli.main import main
from opsverify.config.report import ReportConfig
from opsverify.config.waivers import Waiver
from opsverify.core.exit_codes import ExitCode
from opsverify.report.document import Document, document_html, document_markdown
from opsverify.report.model import Text
from opsverify.report.period import named
from opsverify.report.period_page import page_of
from tests.support.period_runs import DAY, MONDAY, RecordedRuns, a_good_week
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opsverify.config.model import Target

NOW = dt.datetime(2026, 11, 24, 9, tzinfo=dt.UTC)
WEEK = named("weekly", "2026-W47", NOW, ZoneInfo("UTC"))


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """A target that is rehearsed."""
    found = target_in(tmp_path)
    absent = {part: reason for part, reason in found.absent.items() if part != "recovery"}
    return found.model_copy(update={"absent": absent})


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRuns:
    """A state without runs."""
    return RecordedRuns(tmp_path)


def page(recorded: RecordedRuns, target: Target) -> Document:
    """The page of `WEEK`."""
    return page_of(recorded.state, target, recorded.reports, WEEK, NOW, "en")


def notes(found: Document, chapter: int = 0) -> list[tuple[str, str]]:
    """Kind and English text of the notes of a chapter."""
    return [(note.kind, note.text.en) for note in found.chapters[chapter].notes]


def rows(found: Document, heading: str) -> list[tuple[str, ...]]:
    """The cells of all tables of a chapter in English, the kind of the row first."""
    (chapter,) = (one for one in found.chapters if one.heading.en == heading)
    cells = [(row.kind, *row.cells) for grid in chapter.grids for row in grid.rows]
    return [tuple(cell.en if isinstance(cell, Text) else str(cell) for cell in row) for row in cells]


def test_a_week_with_every_run_is_all_good(recorded: RecordedRuns, target: Target) -> None:
    """Both weeks whole: nothing to look at but the RTO that these rehearsals have not measured."""
    for monday in (MONDAY - 7 * DAY, MONDAY):
        a_good_week(recorded, monday)
    without = target.model_copy(update={"absent": {**target.absent, "recovery": "none here"}})
    found = page(recorded, without)
    assert (found.state.en, found.kind) == ("ALL GOOD", "accept")
    assert notes(found) == [("", "nothing to look at: every run was made and is well")]
    found = page(recorded, target)
    assert (found.state.en, found.kind) == ("LOOK CLOSER", "reject")
    assert notes(found) == [("fail", "me: rehearsal: no RTO was measured in this period")]


def test_a_week_without_any_run_is_red_in_each_stage(recorded: RecordedRuns, target: Target) -> None:
    """What was not run is never good: a report of nothing says what is missing."""
    found = page(recorded, target)
    assert found.kind == "reject"
    assert notes(found) == [
        ("fail", "me: daily: 7 of 7 runs missed: 11-16, 11-17, 11-18, 11-19, 11-20, 11-21, 11-22"),
        ("fail", "me: weekly: 1 of 1 runs missed: 2026-W47"),
        ("fail", "me: rehearsal: 1 of 1 runs missed: 2026-W47"),
    ]
    assert [row[:3] for row in rows(found, "Stages run and missed")] == [
        ("fail", "daily", "0 / 7"), ("fail", "weekly", "0 / 1"), ("fail", "rehearsal", "0 / 1"),
    ]  # fmt: skip


def test_a_missed_day_is_named(recorded: RecordedRuns, target: Target) -> None:
    """Two runs on Tuesday do not stand for Wednesday, and a run without a decision fills no day."""
    a_good_week(recorded, MONDAY, left_out=(2,))
    recorded.add("daily", MONDAY + DAY + dt.timedelta(hours=20))
    run_id, _ = recorded.begin("daily", MONDAY + 2 * DAY)
    told = [text for _, text in notes(page(recorded, target))]
    assert "me: daily: 1 of 7 runs missed: 11-18" in told
    assert f"me: {run_id}: begun, and has no verdict (killed, or still running)" in told


def test_days_are_those_of_the_targets_clock(recorded: RecordedRuns, target: Target) -> None:
    """A run at 20:00 UTC on Sunday is Monday's in Seoul."""
    seoul = target.model_copy(update={"report": ReportConfig(time_zone="Asia/Seoul")})
    week = named("weekly", "2026-W47", NOW, seoul.report.zone)
    recorded.add("daily", dt.datetime(2026, 11, 15, 20, tzinfo=dt.UTC))
    found = page_of(recorded.state, seoul, recorded.reports, week, NOW, "en")
    assert "11-16" not in notes(found)[0][1]
    assert "daily: 6 of 7 runs missed" in notes(found)[0][1]
    assert found.when.ko == "2026년 11월 16일부터 11월 22일까지 (Asia/Seoul)"


def test_what_changed_since_the_last_report(recorded: RecordedRuns, target: Target) -> None:
    """Newly red, recovered, new, gone, and what is as red as before with the day since when."""
    recorded.add("daily", MONDAY - DAY, {"a": "pass", "b": "fail", "c": "fail", "gone": "pass", "same": "pass"})
    recorded.add("daily", MONDAY + DAY, {"a": "fail", "b": "pass", "c": "fail", "new": "pass", "same": "pass"})
    found = page(recorded, target)
    assert [row[:5] for row in rows(found, "Changed since the last report")] == [
        ("fail", "a", "daily", "pass", "fail"),
        ("", "b", "daily", "fail", "pass"),
        ("", "gone", "daily", "pass", "none"),
        ("", "new", "daily", "none", "pass"),
    ]
    assert ("fail", "still red: daily c since 11-15 00:00") in notes(found, 2)
    assert ("fail", "data: newest daily decided reject: a and c") not in notes(found)
    assert any(text.startswith("data: newest daily decided reject") for _, text in notes(found))


def test_a_stage_that_recovered_is_no_concern(recorded: RecordedRuns, target: Target) -> None:
    """Red on Tuesday and green on Sunday: the newest run decides."""
    a_good_week(recorded, MONDAY)
    recorded.add("daily", MONDAY + DAY + dt.timedelta(hours=7), {"a": "fail"})
    recorded.add("daily", MONDAY + 6 * DAY + dt.timedelta(hours=9), {"a": "pass"})
    assert not any("daily" in text for _, text in notes(page(recorded, target)))


def test_altered_and_missing_evidence_is_red(recorded: RecordedRuns, target: Target) -> None:
    """A verdict that was edited into a pass does not count, nor one whose folder is gone."""
    a_good_week(recorded, MONDAY)
    altered = recorded.add("daily", MONDAY + 6 * DAY + dt.timedelta(hours=8), {"a": "fail"}) / "verdict.json"
    altered.write_text(altered.read_text().replace('"fail"', '"pass"'), encoding="utf-8")
    gone = recorded.add("prod-canary", MONDAY + DAY) / "verdict.json"
    gone.unlink()
    told = [text for kind, text in notes(page(recorded, target)) if kind == "fail"]
    assert any(altered.parent.name in text and "not the one that was sealed" in text for text in told)
    assert any(gone.parent.name in text and "its evidence is gone" in text for text in told)


def test_canary_decisions_are_listed_with_their_reason(recorded: RecordedRuns, target: Target) -> None:
    """Each release of the week, in its order."""
    recorded.add("prod-canary", MONDAY + DAY, {"canary.error_rate": "fail"})
    recorded.add("prod-canary", MONDAY + 2 * DAY)
    assert rows(page(recorded, target), "Canary and release decisions") == [
        ("fail", "11-17 00:00", "prod-canary", "roll back", "canary.error_rate: measured 3, limit <= 2"),
        ("", "11-18 00:00", "prod-canary", "promote", ""),
    ]


def test_slow_and_flaky_checks(recorded: RecordedRuns, target: Target) -> None:
    """Twice its own time of the week before is slow; pass, fail, pass is flaky; one change is neither."""
    recorded.add("daily", MONDAY - DAY, {"slow": "pass", "even": "pass"}, duration_s=2.0)
    for day, outcome in enumerate(("pass", "fail", "pass", "inconclusive")):
        recorded.add("daily", MONDAY + day * DAY, {"slow": "pass", "restless": outcome}, duration_s=5.0)
    recorded.add("daily", MONDAY + 4 * DAY, {"even": "pass"}, duration_s=2.0)
    found = rows(page(recorded, target), "Slow and flaky checks")
    assert ("inconclusive", "slow", "daily", "5s", "2s") in found
    assert ("", "even", "daily", "2s", "2s") in found
    assert ("inconclusive", "restless", "daily", "3", "4") in found
    assert not [row for row in found if row[1] == "slow" and row[3] == "4"]


@pytest.mark.parametrize(
    ("until", "kind", "told"),
    [
        (dt.date(2026, 11, 20), "fail", "data: waiver of x: ended on 2026-11-20"),
        (dt.date(2026, 11, 29), "inconclusive", "data: waiver of x: ends on 2026-11-29"),
        (dt.date(2026, 11, 30), None, "data: waiver of x"),
    ],
)
def test_waivers_that_end_before_the_next_report(
    recorded: RecordedRuns, target: Target, until: dt.date, kind: str | None, told: str
) -> None:
    """Those that will have ended when the next week is over; later ones have time."""
    waiver = Waiver(check="x", owner="data", reason="known and being fixed", until=until)
    found = page(recorded, target.model_copy(update={"waivers": (waiver,)}))
    assert [one for one in notes(found) if "waiver" in one[1]] == ([(kind, told)] if kind else [])


def test_a_damaged_state_is_red_and_still_a_page(recorded: RecordedRuns, target: Target) -> None:
    """The page says that nothing can be said, first."""
    a_good_week(recorded, MONDAY)
    recorded.state.runs.write_bytes(recorded.state.runs.read_bytes().replace(b"accept", b"reject", 1))
    found = page(recorded, target)
    assert found.kind == "reject"
    assert notes(found)[0][1].startswith("me: runs: could not be read: ")
    assert not found.whole


def test_a_part_that_could_not_be_made_is_red(recorded: RecordedRuns, target: Target) -> None:
    """A sealed verdict of a strange form breaks its own part, and is named first; the others are made."""
    a_good_week(recorded, MONDAY)
    log = recorded.reports / "attestations" / "t.jsonl"
    log.parent.mkdir()
    log.write_text("not a chain\n", encoding="utf-8")
    found = page(recorded, target)
    assert not found.whole
    assert any("Waivers and attestations that run out: could not be made" in text for _, text in notes(found))
    (part,) = (one for one in found.chapters if one.heading.en.startswith("Waivers"))
    assert part.notes[0].kind == "fail"
    assert rows(found, "Stages run and missed")


def test_the_command_writes_one_file_for_a_week(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file in both languages; a second call replaces it; the first line says whether to look closer."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "runbook.toml").write_text("", encoding="utf-8")
    path = tmp_path / "targets" / "t.toml"
    path.write_text(SMALLEST, encoding="utf-8")
    for _ in range(2):
        assert main(["report", "weekly", "--target", str(path), "--period", "2020-W40"]) == ExitCode.PASSED
    state, written = capsys.readouterr().out.splitlines()[-2:]
    assert state == "LOOK CLOSER"
    (made,) = (tmp_path / "reports" / "periodic" / "t").iterdir()
    assert written == str(made)
    assert made.name == "weekly-2020-W40.html"
    text = made.read_text(encoding="utf-8")
    assert "확인 필요" in text
    assert "LOOK CLOSER" in text


def test_the_command_fails_where_a_part_could_not_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is written all the same; whoever sends it sees by the exit code that it is not whole."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "runbook.toml").write_text("", encoding="utf-8")
    path = tmp_path / "targets" / "t.toml"
    path.write_text(SMALLEST, encoding="utf-8")
    log = tmp_path / "reports" / "attestations" / "t.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text("not a chain\n", encoding="utf-8")
    assert main(["report", "weekly", "--target", str(path), "--period", "2020-W40"]) == ExitCode.HOLD
    assert "could not be made" in (tmp_path / "reports" / "periodic" / "t" / "weekly-2020-W40.html").read_text("utf-8")
    assert capsys.readouterr().out.startswith("LOOK CLOSER")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["weekly"], "missing --target"),
        (["latest", "--period", "2026-W47"], "--period: belongs to opsverify report weekly | monthly"),
        (["monthly", "--target", "TARGET", "--period", "2126-01"], "has not ended"),
    ],
)
def test_wrong_input_writes_nothing(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 4, one line."""
    path = tmp_path / "t.toml"
    path.write_text(SMALLEST, encoding="utf-8")
    assert main(["report", *(str(path) if one == "TARGET" else one for one in arguments)]) == ExitCode.USAGE
    assert told in capsys.readouterr().err
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_reads_in_both_languages(recorded: RecordedRuns, target: Target, language: str) -> None:
    """No text of the one language is in the other: Korean has no English sentence, English no Hangul."""
    a_good_week(recorded, MONDAY, left_out=(3,))
    recorded.add("daily", MONDAY + 6 * DAY + dt.timedelta(hours=9), {"a": "fail"})
    text = document_markdown(page(recorded, target), language)
    words: Mapping[str, tuple[str, ...]] = {"ko": ("missed", "decided", "look"), "en": ("빠", "보", "결")}
    assert [word for word in words[language] if word in text] == []
    assert document_html(page(recorded, target)).count("<section>") == 9


def test_the_cost_of_each_day(recorded: RecordedRuns, target: Target) -> None:
    """The period's runs, newest first, with those before it in the chart; a day without a value is not zero."""
    for day, outcome in ((-3, "pass"), (0, "pass"), (1, "fail")):
        recorded.add("daily", MONDAY + day * DAY, {"daily.llm_cost": outcome})
    found = page(recorded, target)
    assert rows(found, "LLM cost") == [
        ("fail", "11-17 00:00", "3 USD", "<= 2", "-"),
        ("", "11-16 00:00", "1 USD", "<= 2", "-"),
    ]
    (chapter,) = (one for one in found.chapters if one.heading.en == "LLM cost")
    assert [len(chart.columns) for chart in chapter.charts] == [3]
