"""Draft of an incident's report: every time with its source, empty fields named, deadlines by the target's hours."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.cli.main import main
from opsverify.core.exit_codes import ExitCode
from opsverify.incident.entries import Entry, declare, mark
from opsverify.incident.timeline import Event, Incident, incidents
from opsverify.probes.prometheus_values import Series
from opsverify.report.document import (
    Document,
    document_markdown,
)
from opsverify.report.incident_report import Action, IncidentFacts, report_of
from opsverify.report.incident_times import fired
from opsverify.report.model import Text
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from pathlib import Path

BEGAN = dt.datetime(2026, 11, 22, 20, tzinfo=dt.UTC)
NOW = BEGAN + dt.timedelta(hours=2)
HOURS = """
[incidents.sev1]
customer_notice = "1h"
tell = { L1 = "5m", L2 = "15m" }
[incidents.sev2]
customer_notice = "4h"
"""
ON_CALL = """
[on_call]
levels = { L1 = { calendar = "l1.toml" }, L2 = { calendar = "l2.toml" } }
people = { kim = [], lee = [] }
"""


def event(step: str, minutes: int, **more: Any) -> Event:  # noqa: ANN401 - fields of an event
    """An entry of the timeline, so many minutes after the declaration."""
    at = (BEGAN + dt.timedelta(minutes=minutes)).isoformat()
    return Event(step, at, at, more.pop("by", "kim"), "t", **more)


def facts(folder: Path, *events: Event, text: str = SMALLEST + HOURS, **more: Any) -> IncidentFacts:  # noqa: ANN401 - as above
    """What is known of an incident with these entries."""
    incident = Incident(folder / "20261122T200000Z-t-0001", events) if events else None
    return IncidentFacts(target_in(folder, text), BEGAN, NOW, incident, **more)


def own_project(project: Path) -> Path:
    """The target file of a project of one's own, with hours."""
    (project / "runbook.toml").write_text("", encoding="utf-8")
    path = project / "targets" / "t.toml"
    path.write_text(SMALLEST + HOURS, encoding="utf-8")
    return path


def rows(found: Document, heading: str) -> dict[str, tuple[str, ...]]:
    """The rows of a chapter in English by their first cell, the kind last."""
    (chapter,) = (one for one in found.chapters if one.heading.en == heading)
    cells = [
        (*(cell.en if isinstance(cell, Text) else str(cell) for cell in row.cells), row.kind)
        for grid in chapter.grids
        for row in grid.rows
    ]
    return {row[0]: row[1:] for row in cells}


def test_what_nobody_recorded_is_empty_and_named(tmp_path: Path) -> None:
    """A bare declaration: only its own time is known, and each empty field says how it is filled."""
    found = report_of(facts(tmp_path, event("declare", 0)), NOW, "en")
    summary = rows(found, "Summary")
    assert [name for name, row in summary.items() if row[0] != "EMPTY"] == ["declared"]
    assert summary["declared"] == ("2026-11-22 20:00:00 UTC (kim)", "declared", "")
    notes = [note.text.en for note in found.chapters[0].notes]
    assert len(notes) == len(summary) - 1
    assert "severity: opsverify dr mark note --severity sev1|sev2|sev3" in notes
    assert found.state.en == "DRAFT · 9 empty"


def test_every_time_has_its_source(tmp_path: Path) -> None:
    """Declared, marked and alert, in the order of time, whoever wrote them down first."""
    alerts = fired([Series({"alertname": "LlmDown", "track": "stable"}, ((BEGAN.timestamp() - 90, 1.0),))])
    found = report_of(
        facts(
            tmp_path,
            event("declare", 0, disaster_at="2026-11-22T19:57:00+00:00"),
            event("backup", 20, evidence="run-1"),
            event("told", 4, level="L1", by="lee"),
            alerts=tuple(alerts),
        ),
        NOW,
        "en",
    )
    (grid,) = next(one for one in found.chapters if one.heading.en.startswith("Timeline")).grids
    assert [tuple(cell.en if isinstance(cell, Text) else cell for cell in row.cells[:3]) for row in grid.rows] == [
        ("2026-11-22 19:57:00", "+0s", "declared"),
        ("2026-11-22 19:58:30", "+1m 30s", "alert"),
        ("2026-11-22 20:00:00", "+3m 00s", "declared"),
        ("2026-11-22 20:04:00", "+7m 00s", "marked"),
        ("2026-11-22 20:20:00", "+23m 00s", "marked"),
    ]
    assert rows(found, "Summary")["first alert"][:2] == ("2026-11-22 19:58:30 UTC (LlmDown)", "alert")


def test_an_alert_that_fires_again_is_another_one() -> None:
    """A gap of more than five minutes between samples ends it."""
    points = tuple((float(at), 1.0) for at in (0, 15, 30, 331, 346))
    assert [(alert.since.timestamp(), alert.until.timestamp()) for alert in fired([Series({}, points)])] == [
        (0, 30), (331, 346),
    ]  # fmt: skip
    assert fired([Series({"alertname": "x"}, ())]) == []


@pytest.mark.parametrize(
    ("told_after", "state", "kind"),
    [
        (None, "overdue by 1h 00m", "fail"),
        (60, "in time", ""),
        (61, "late by 1m 00s", "fail"),
    ],
)
def test_the_customer_notice_is_due_by_the_targets_hours(
    tmp_path: Path, told_after: int | None, state: str, kind: str
) -> None:
    """One hour after Sev1 was recorded; two hours have passed."""
    events = [event("declare", 0, severity="sev1")]
    if told_after is not None:
        events.append(event("customer-notice", told_after))
    found = report_of(facts(tmp_path, *events), NOW, "en")
    row = rows(found, "Customer notice and escalation")["customer-notice"]
    assert (row[1], row[3], row[4]) == ("2026-11-22 21:00:00 UTC", state, kind)
    assert found.kind == "reject"  # L1 and L2 were never told


def test_a_raised_severity_brings_its_own_deadline(tmp_path: Path) -> None:
    """Sev2 at 20:00 gives until 24:00; Sev1 at 20:30 gives until 21:30."""
    found = report_of(
        facts(tmp_path, event("declare", 0, severity="sev2"), event("note", 30, severity="sev1")), NOW, "en"
    )
    assert rows(found, "Customer notice and escalation")["customer-notice"][1] == "2026-11-22 21:30:00 UTC"
    assert rows(found, "Summary")["severity"][0] == "sev2 → sev1"


def test_without_a_severity_no_deadline_is_guessed(tmp_path: Path) -> None:
    """Neither in time nor overdue: the severity is missing."""
    found = report_of(facts(tmp_path, event("declare", 0), event("customer-notice", 5)), NOW, "en")
    assert rows(found, "Customer notice and escalation")["customer-notice"][3] == "no severity recorded"


def test_the_calendar_names_who_was_on_duty_then(tmp_path: Path) -> None:
    """Those of the moment at which the severity was recorded, not of today; nobody is named as nobody."""
    (tmp_path / "l1.toml").write_text(
        '[[shift]]\nwho = "kim"\nstart = 2026-11-22T08:00:00Z\nend = 2026-11-22T20:00:00Z\n'
        '[[shift]]\nwho = "lee"\nstart = 2026-11-22T20:00:00Z\nend = 2026-11-23T08:00:00Z\n',
        encoding="utf-8",
    )
    (tmp_path / "l2.toml").write_text("shift = []", encoding="utf-8")
    given = facts(tmp_path, event("declare", 0, severity="sev1"), text=SMALLEST + HOURS + ON_CALL)
    found = rows(report_of(given, NOW, "en"), "Customer notice and escalation")
    assert [found[level][0] for level in ("L1", "L2", "customer-notice")] == ["lee", "nobody", "-"]
    (tmp_path / "l2.toml").unlink()
    found = rows(report_of(given, NOW, "en"), "Customer notice and escalation")
    assert found["L2"][0].startswith("unknown: on-call calendar")


@pytest.mark.parametrize(
    ("text", "owner", "until"),
    [
        ("more disk [kim, 2026-12-05]", "kim", dt.date(2026, 12, 5)),
        ("alert on lag [data team, 2027-01-02] ", "data team", dt.date(2027, 1, 2)),
        ("more disk", None, None),
        ("more disk [kim]", None, None),
        ("more disk [kim, 2026-02-31]", None, None),
    ],
)
def test_actions_have_owner_and_date(text: str, owner: str | None, until: dt.date | None) -> None:
    """By a form that can be checked; anything else is an action whose owner and date are empty."""
    action = Action.of(text)
    assert (action.owner, action.until) == (owner, until)
    assert action.row(dt.date(2026, 12, 5)).kind == ("" if owner else "inconclusive")
    if until:
        assert action.what in text
        assert action.row(until + dt.timedelta(days=1)).kind == "fail"


def test_what_was_never_declared_is_reported_from_its_runs(tmp_path: Path) -> None:
    """Nothing of it was recorded, and the report says so."""
    found = report_of(facts(tmp_path), NOW, "en")
    assert rows(found, "Summary")["declared"][0] == "EMPTY"
    assert "never declared" in document_markdown(found, "en")


def test_the_command_writes_html_and_markdown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the timeline, again and again; with --out one file, by its ending; the escalation is a command too."""
    path = own_project(project)
    target = str(path)
    declare(target, project, Entry(by="kim", severity="sev1"))
    mark(target, project, None, "told", Entry(by="kim", level="L1"))
    (incident,) = incidents(project / "reports")
    for _ in range(2):
        assert main(["incident", "report", "--target", target, "--offline"]) == ExitCode.PASSED
    names = {one.name for one in incident.folder.iterdir() if one.name.startswith("rca")}
    assert names == {"rca.html", "rca.ko.md", "rca.en.md"}
    out = project / "one.md"
    arguments = ["incident", "report", incident.id, "--target", target, "--offline", "--out"]
    assert main([*arguments, str(out)]) == ExitCode.PASSED
    assert main([*arguments, str(project / "one.pdf")]) == ExitCode.USAGE
    assert "사고 보고서" in out.read_text(encoding="utf-8") or "Incident report" in out.read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["oncall", "escalation", "--target", target, "--language", "en"]) == ExitCode.PASSED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"incident {incident.id}"
    assert [line.split()[0] for line in lines[1:]] == ["L1", "L2", "customer-notice"]
    assert "in time" in lines[1]
    assert "not yet due" in lines[2]


def test_an_escalation_without_severity_holds(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says which command records it; one that is late holds too."""
    path = own_project(project)
    declare(str(path), project, Entry())
    assert main(["oncall", "escalation", "--target", str(path), "--language", "en"]) == ExitCode.HOLD
    assert "opsverify dr mark note --severity" in capsys.readouterr().out
    (incident,) = incidents(project / "reports")
    shutil.rmtree(incident.folder)
    old = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).isoformat()
    declare(str(path), project, Entry(at=old, severity="sev1"))
    assert main(["oncall", "escalation", "--target", str(path), "--language", "en"]) == ExitCode.HOLD
    assert "overdue by" in capsys.readouterr().out


def test_who_was_told_may_be_written_down_later(project: Path) -> None:
    """At its own time, between other entries; not before the declaration; not without its level."""
    target = str(project / "targets" / "t.toml")
    at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    declare(target, project, Entry(at=at.isoformat()))
    mark(target, project, None, "note", Entry(note="later"))
    told = (at + dt.timedelta(minutes=3)).isoformat()
    incident = mark(target, project, None, "told", Entry(at=told, level="L1"))
    assert json.loads((incident.folder / "timeline.jsonl").read_text().splitlines()[-1])["level"] == "L1"
    for entry, step in (
        (Entry(at=told, note="no"), "note"),
        (Entry(at=(at - dt.timedelta(minutes=1)).isoformat()), "customer-notice"),
        (Entry(), "told"),
    ):
        with pytest.raises(Exception, match=r"before the (newest entry|declaration)|missing --level"):
            mark(target, project, None, step, entry)
