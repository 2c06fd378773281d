"""Index of a reports folder: each target's newest run of each stage, worst first, with links to its pages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from opsverify.core.stages import STAGES
from opsverify.errors import EvidenceError
from opsverify.evidence.run_folder import VERDICT
from opsverify.evidence.target_state import STATE, TargetState
from opsverify.incident.timeline import INCIDENTS
from opsverify.language.message import as_message, say
from opsverify.report.dates import date_time
from opsverify.report.document import Chapter, Document, Grid, GridRow, cell
from opsverify.report.model import Link, Note, Text, same
from opsverify.report.period_page import ROW_KINDS, decision_cell
from opsverify.report.period_runs import newest_runs
from opsverify.report.runs import shortened
from opsverify.report.summary import reasons_of
from opsverify.units import elapsed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.report.period_runs import PeriodRun

NAME: Final = "index.html"
PERIODIC: Final = "periodic"
_PAGES: Final = ("report.html", "recovery.html", VERDICT)
"""What a run is read by, the best one first."""
_READ: Final = (".html", ".pdf")
_ORDER: Final = ("fail", "inconclusive", "")
_HEADS: Final = (Text("단계", "stage"), Text("마지막 판정", "newest"), Text("경과", "age"), Text("사유", "reason"))


def page_of(reports: Path, now: dt.datetime, language: str) -> Document:
    """The index of `reports`; links are relative to that folder. A target whose state is damaged is red."""
    known = sorted((reports / STATE).glob("*/runs.jsonl"))
    chapters = [_target(TargetState(path.parent), reports, now) for path in known]
    kinds = {row.kind for chapter in chapters for grid in chapter.grids for row in grid.rows}
    kinds |= {note.kind for chapter in chapters for note in chapter.notes}
    good = not kinds & {"fail", "inconclusive"} and bool(chapters)
    return Document(
        title=Text("보고서 목록", "Reports"),
        name=reports.name,
        when=same(date_time(now.isoformat())),
        state=Text("이상 없음", "ALL GOOD") if good else Text("확인 필요", "LOOK CLOSER"),
        kind="accept" if good else ("reject" if "fail" in kinds else "hold"),
        language=language,
        chapters=(*chapters, *_others(reports)),
    )


def _target(state: TargetState, reports: Path, now: dt.datetime) -> Chapter:
    heading = same(state.folder.name)
    try:
        newest = newest_runs(state)
    except (EvidenceError, LookupError, ValueError) as error:
        return Chapter(heading, (Note(same(say("runs: could not be read: {error}", error=error)), "fail"),))
    order = list(STAGES)
    rows = sorted(
        (
            (_kind(run), order.index(stage) if stage in order else len(order), _row(run, reports, now))
            for stage, run in newest.items()
        ),
        key=lambda found: (_ORDER.index(found[0]), found[1]),
    )
    return Chapter(heading, (), (Grid(_HEADS, tuple(row for _, _, row in rows)),))


def _row(run: PeriodRun, reports: Path, now: dt.datetime) -> GridRow:
    reasons = reasons_of(dict(run.verdict)) if run.verdict else []
    why = run.problem or (reasons[0][1] if reasons else as_message(""))
    age = elapsed(max(0.0, (now - run.begun).total_seconds()))
    return GridRow((_page(run, reports), decision_cell(run), age, cell(why.each(shortened))), _kind(run))


def _kind(run: PeriodRun) -> str:
    return "fail" if run.problem else ROW_KINDS.get(run.decision or "", "fail")


def _page(run: PeriodRun, reports: Path) -> str | Link:
    found = next((path for name in _PAGES if (path := run.folder / name).is_file()), None)
    return run.stage if found is None else Link(same(run.stage), os.path.relpath(found, reports))


def _others(reports: Path) -> Iterator[Chapter]:
    for heading, pattern in (
        (Text("주간·월간 보고", "Weekly and monthly pages"), f"{PERIODIC}/*/*"),
        (Text("사고", "Incidents"), f"{INCIDENTS}/*/*"),
    ):
        rows = tuple(
            GridRow((path.parent.name, Link(same(path.name), str(path.relative_to(reports)))))
            for path in sorted(reports.glob(pattern), reverse=True)
            if path.suffix in _READ
        )
        if rows:
            heads = (Text("대상 또는 사고", "target or incident"), Text("보고서", "page"))
            yield Chapter(heading, (), (Grid(heads, rows),))
