"""What was lost, on the page: from the files of a real rehearsal, and of a recovery on record."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.cli.incident import Said, declare
from opsverify.evidence.redact import Redactor
from opsverify.evidence.run_folder import RunFolder
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
    body = page.read_text(encoding="utf-8").partition("What was lost")[2].partition("</section>")[0]
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


def _check(check_id: str, outcome: str, message: str = "what the check said") -> dict[str, Any]:
    title = {"ko": "제목", "en": "title"}
    return {
        "id": check_id, "title": title, "outcome": outcome, "message": message, "owner": "me", "limit": None,
        "measured": None,
    }  # fmt: skip


@pytest.fixture(scope="module")
def known(disaster: Disaster, open_folder: Path) -> tuple[History, dict[str, str]]:
    """Record what the whole backup holds, and where its tables are."""
    scratch = open_folder / "known"
    scratch.mkdir()
    return recorded(disaster, scratch)


@pytest.fixture
def rehearsed(
    disaster: Disaster, known: tuple[History, dict[str, str]], scratch: Path
) -> Callable[[Path, list[dict[str, Any]]], Path]:
    """Rehearse a backup against the record, and build the page of that run."""

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


def test_a_damaged_backup_says_what_it_lost(
    rehearsed: Callable[[Path, list[dict[str, Any]]], Path], base_copy: Path, known: tuple[History, dict[str, str]]
) -> None:
    """Table, bucket or page, rows and window, in both languages; the same is not said twice."""
    zeroed = detach(base_copy / known[1]["judgment_executions"])
    content = bytearray(zeroed.read_bytes())
    content[8192:16384] = bytes(8192)
    zeroed.write_bytes(content)
    emptied = detach(base_copy / known[1]["fact_daily_production"])
    emptied.write_bytes(b"")
    pages = _check("consistency.pages", "fail", "3 of 4 tables lost pages")
    page = rehearsed(base_copy, [pages, _check("ledger.buckets[fact_daily_production]", "fail"),
                                 _check("sql.fact_daily_production[x]", "fail", "4 rows are lost")])  # fmt: skip
    said = _section(page)
    assert re.search(r"fact_daily_production \| \d{4}-\d\d-\d\d \| 12 \| 0 \| 0 \| \d{4}-\d\d-\d\d ~ \d{4}-", said)
    assert re.search(r"judgment_executions \| \S+Z \| (at least \d+ of )?\d+ \|", said)
    assert re.search(r"judgment_executions \| and \d+ more \| at least \d+ \| not known", said)
    assert re.search(r"public\.judgment_executions \| page 1 \| \d+ recorded \| - \| - \| not known", said)
    assert re.search(r"buckets that differ: \S+ ~ \S+\n", said)
    assert re.search(r"compared: 2 tables, \d+ buckets, [\d,]+ rows; \d+ buckets differ", said)
    assert "sql.fact_daily_production[x]: 4 rows are lost" in said
    assert "ledger.buckets" not in said
    assert re.search(r"judgment_executions \| 페이지 1 \| 기록된 \d+", _section(page, "ko"))


def test_a_whole_backup_says_how_far_that_goes(
    rehearsed: Callable[[Path, list[dict[str, Any]]], Path], disaster: Disaster
) -> None:
    """Nothing is lost of what was compared, which is said."""
    said = _section(rehearsed(disaster.base, [_check("ledger.buckets[judgment_executions]", "pass")]))
    assert re.search(r"no row missing, changed or added: 2 tables, \d+ buckets, [\d,]+ rows compared", said)
    assert "differ" not in said


def test_without_a_record_the_loss_is_not_known(disaster: Disaster, scratch: Path) -> None:
    """A run that compared nothing does not say that nothing is lost; nor does a drill of an earlier version."""
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
    assert "no bucket compared with the ledger: rows lost not known" in _section(publish_rehearsal(folder, scratch))


def test_a_recovery_names_the_very_keys(
    clone: Clone, whole_source: Callable[..., list[tuple[Any, ...]]], project: Path
) -> None:
    """What post-dr kept of its answers stands on the incident's page, also of a run that opened no gate."""
    before = history(record(clone))
    clone.run(
        "DELETE FROM events WHERE code IN ('E65', 'E66', 'E67', 'E68', 'E69', 'E71')",
        "UPDATE events SET qty = 77 WHERE code = 'E130'",
        "INSERT INTO totals SELECT current_date - 3, 'L99', 1",
    )
    declare("t", project, Said(by="kim"))
    assert "rows lost not known: no run of post-dr" in _section(publish_incident("t", project, None, "en"))
    folder = RunFolder.create("post-dr", dt.datetime.now(dt.UTC), project / "reports", None)
    for table in ("events", "totals"):
        live = (lambda: whole_source) if table == "events" else None
        save_answer(folder, Redactor(()), f"buckets/{table}", again(before, table, clone, live=live))
    _verdict(folder.path, "post-dr", [_check("ledger.buckets[events]", "fail"), _check("sql.x", "pass")])
    said = _section(publish_incident("t", project, None, "en"))
    assert re.search(r"events \| \S+Z \| at least 6 of 60 \| not known \| not known \| \S+ ~ \S+", said)
    assert re.search(r"events \| \S+Z \| not known \| some of 60 \| not known", said)
    assert re.search(r"events \| in all, by key \| 6 \| 1 \| 0 \| \S+Z ~ \S+Z", said)
    assert re.search(r"totals \| \S+ \| not known \| not known \| at least 1 to 6", said)
    assert "keys of events: missing 66, 67, 68, 69, 70 and 1 more; changed 131" in said
    assert "1 of 2 checks of the data agree" in said
    assert f"found by {folder.run_id}" in said
