"""Data loss on the page: from the files of a real rehearsal, and of a recorded recovery."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.evidence.redact import Redactor
from opsverify.evidence.run_folder import RunFolder
from opsverify.incident.entries import Entry, declare
from opsverify.recovery.drill.run import run_drill
from opsverify.recovery.verify.questions import save_answer
from opsverify.report.publish import publish_incident, publish_rehearsal
from tests.support.drills import recorded, recovery
from tests.support.ledgers import again, history, record
from tests.support.wreck import detach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opsverify.recovery.ledger.history import History
    from tests.support.clones import Clone
    from tests.support.wreck import Disaster


def _section(page: Path, language: str = "en") -> str:
    """The text of the section of losses, in one language, a line for each row and note."""
    body = page.read_text(encoding="utf-8").partition("Data loss")[2].partition("</section>")[0]
    other = "ko" if language == "en" else "en"
    body = re.sub(rf'<span class="{other}"[^>]*>[^<]*</span>', "", body)
    body = body.replace("</td>", " | ").replace("</th>", " | ").replace("</tr>", "\n").replace("</li>", "\n")
    return unescape(re.sub(r"<[^>]*>", "", body))


def _verdict(folder: Path, stage: str, checks: list[dict[str, Any]]) -> None:
    content = {
        "run_id": folder.name, "stage": stage, "target": "t", "language": "en", "decision": "reject",
        "started_at": "2026-11-24T02:58:40.000Z", "checks": checks,
    }  # fmt: skip
    (folder / "verdict.json").write_text(json.dumps(content), encoding="utf-8")


def _check(check_id: str, outcome: str, message: str = "message of the check") -> dict[str, Any]:
    title = {"ko": "제목", "en": "title"}
    return {
        "id": check_id, "title": title, "outcome": outcome, "message": message, "owner": "me", "limit": None,
        "measured": None,
    }  # fmt: skip


@pytest.fixture(scope="module")
def known(disaster: Disaster, open_folder: Path) -> tuple[History, dict[str, str]]:
    """Record the content of the intact backup, and the files of its tables."""
    scratch = open_folder / "known"
    scratch.mkdir()
    return recorded(disaster, scratch)


@pytest.fixture
def rehearsed(
    disaster: Disaster, known: tuple[History, dict[str, str]], scratch: Path
) -> Callable[[Path, list[dict[str, Any]]], Path]:
    """Rehearse a backup against the ledger, and build the page of that run."""

    def rehearse(base: Path, checks: list[dict[str, Any]]) -> Path:
        kept = io.StringIO()
        where = recovery(disaster, scratch, disaster.between, base_backup=str(base))
        run_drill(where, "postgres", None, {}, kept, lambda _line: None, scratch, known[0])
        folder = scratch / "20261124T025840Z-rehearsal-f6e6"
        folder.mkdir()
        (folder / "drill.json").write_text(kept.getvalue(), encoding="utf-8")
        _verdict(folder, "rehearsal", checks)
        return publish_rehearsal(folder, scratch)

    return rehearse


def test_the_page_of_a_damaged_backup_lists_the_loss(
    rehearsed: Callable[[Path, list[dict[str, Any]]], Path], base_copy: Path, known: tuple[History, dict[str, str]]
) -> None:
    """Table, bucket or page, rows and window, in both languages; no loss is listed twice."""
    zeroed = detach(base_copy / known[1]["judgment_executions"])
    content = bytearray(zeroed.read_bytes())
    content[8192:16384] = bytes(8192)
    zeroed.write_bytes(content)
    emptied = detach(base_copy / known[1]["fact_daily_production"])
    emptied.write_bytes(b"")
    pages = _check("consistency.pages", "fail", "3 of 4 tables lost pages")
    page = rehearsed(base_copy, [pages, _check("ledger.buckets[fact_daily_production]", "fail"),
                                 _check("sql.fact_daily_production[x]", "fail", "4 rows are lost")])  # fmt: skip
    losses = _section(page)
    assert re.search(r"fact_daily_production \| \d{4}-\d\d-\d\d \| 12 \| 0 \| 0 \| \d{4}-\d\d-\d\d ~ \d{4}-", losses)
    assert re.search(r"judgment_executions \| \S+Z \| (at least \d+ of )?\d+ \|", losses)
    assert re.search(r"judgment_executions \| and \d+ more \| at least \d+ \| not known", losses)
    assert re.search(r"public\.judgment_executions \| page 1 \| \d+ recorded \| - \| - \| not known", losses)
    assert re.search(r"buckets that differ: \S+ ~ \S+\n", losses)
    assert re.search(r"compared: 5 tables, \d+ buckets, [\d,]+ rows; \d+ buckets differ", losses)
    assert "sql.fact_daily_production[x]: 4 rows are lost" in losses
    assert "ledger.buckets" not in losses
    assert re.search(r"judgment_executions \| 페이지 1 \| 기록된 \d+", _section(page, "ko"))


def test_the_page_of_an_intact_backup_lists_what_was_compared(
    rehearsed: Callable[[Path, list[dict[str, Any]]], Path], disaster: Disaster
) -> None:
    """No row is lost, and the page states of how many tables, buckets and rows."""
    losses = _section(rehearsed(disaster.base, [_check("ledger.buckets[judgment_executions]", "pass")]))
    assert re.search(r"no row missing, changed or added: 5 tables, \d+ buckets, [\d,]+ rows compared", losses)
    assert "differ" not in losses


def test_without_a_ledger_the_loss_is_not_known(disaster: Disaster, scratch: Path) -> None:
    """A run without a comparison does not report zero loss; nor does a drill of an earlier version."""
    folder = scratch / "20261124T025840Z-rehearsal-f6e6"
    folder.mkdir()
    kept = io.StringIO()
    run_drill(recovery(disaster, scratch, disaster.between), "postgres", None, {}, kept, lambda _line: None, scratch)
    drill = json.loads(kept.getvalue())
    for answer in drill["answers"].values():
        for name in ("losses", "keys", "buckets"):
            del answer[name]
    (folder / "drill.json").write_text(json.dumps(drill), encoding="utf-8")
    _verdict(folder, "rehearsal", [])
    assert "no bucket compared with the ledger: lost rows not known" in _section(publish_rehearsal(folder, scratch))


def test_the_page_of_a_recovery_lists_lost_keys(
    clone: Clone, whole_source: Callable[..., list[tuple[Any, ...]]], project: Path
) -> None:
    """The answers of post-dr are on the incident's page, also of a run that did not pass its gate."""
    before = history(record(clone))
    clone.run(
        "DELETE FROM events WHERE code IN ('E65', 'E66', 'E67', 'E68', 'E69', 'E71')",
        "UPDATE events SET qty = 77 WHERE code = 'E130'",
        "INSERT INTO totals SELECT current_date - 3, 'L99', 1",
    )
    declare("t", project, Entry(by="kim"))
    assert "lost rows not known: no run of post-dr" in _section(publish_incident("t", project, None, "en"))
    folder = RunFolder.create("post-dr", dt.datetime.now(dt.UTC), project / "reports", None)
    for table in ("events", "totals"):
        live = (lambda: whole_source) if table == "events" else None
        save_answer(folder, Redactor(()), f"buckets/{table}", again(before, table, clone, live=live))
    _verdict(folder.path, "post-dr", [_check("ledger.buckets[events]", "fail"), _check("sql.x", "pass")])
    losses = _section(publish_incident("t", project, None, "en"))
    assert re.search(r"events \| \S+Z \| at least 6 of 60 \| not known \| not known \| \S+ ~ \S+", losses)
    assert re.search(r"events \| \S+Z \| not known \| some of 60 \| not known", losses)
    assert re.search(r"events \| total, by key \| 6 \| 1 \| 0 \| \S+Z ~ \S+Z", losses)
    assert re.search(r"totals \| \S+ \| not known \| not known \| at least 1 to 6", losses)
    assert "keys of events: missing 66, 67, 68, 69, 70 and 1 more; changed 131" in losses
    assert "1 of 2 data checks pass" in losses
    assert f"evidence: {folder.run_id}" in losses
