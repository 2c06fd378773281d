"""Parts that the pages of a rehearsal and of an incident share: figures, RPO sources, restore sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.language.message import as_message, say
from opsverify.limits import Limit
from opsverify.recovery.drill.parts import ArchivePart, or_none
from opsverify.report.dates import clock
from opsverify.report.model import UNKNOWN, Figure, PageRow, Text
from opsverify.units import elapsed, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.recovery.drill.result import Drill
    from opsverify.report.runs import RehearsalRun

_RPO_SOURCES: Final = {
    "heartbeat": Text("하트비트", "heartbeat"),
    "archive": Text("아카이브", "archive"),
    "server": Text("서버", "server"),
}


def objective(label: Text, seconds: float | None, limit: Limit | None) -> Figure:
    """A duration with its objective."""
    if limit is None or seconds is None:
        return Figure(label, UNKNOWN if seconds is None else elapsed(seconds), None, None, None)
    text = Text(f"목표 {limit.text}", f"objective {limit.text}")
    return Figure(label, elapsed(seconds), text, seconds / limit.bound if limit.bound else None, limit.holds(seconds))


def limit_of(run: RehearsalRun, check_id: str) -> Limit | None:
    """The limit of a check of the run, in seconds; None where it has none."""
    for check in run.verdict["checks"]:
        if check["id"] == check_id and check["limit"]:
            return Limit.parse(f"{check['limit']} s", "s")
    return None


def rpo_sources_of(run: RehearsalRun) -> tuple[PageRow, ...]:
    """A row for each RPO source of a recovery, and one for their disagreement."""
    testimony = run.testimony
    rows = []
    for source in testimony["witnesses"] if testimony else ():
        heading = _RPO_SOURCES.get(source["name"], Text(source["name"], source["name"]))
        lost = (
            as_message("")
            if source["lost"] is None
            else say("{lost:,} {counted}", lost=source["lost"], counted=source["counted"])
        )
        if source["bound"]:
            lost += say(" ({count:,} transactions begun)", count=source["bound"])
        cells = (
            (source["absent"], "", "")
            if source["absent"]
            else (clock(source["recovered_to"]), clock(source["newest"]), lost)
        )
        rows.append(PageRow(heading, cells))
    if testimony and testimony["problem"]:
        rows.append(PageRow(Text("불일치", "disagreement"), (testimony["problem"], "", "")))
    return tuple(rows)


def restore_sources(drill: Drill) -> Iterator[PageRow]:
    """The rows of the base backup and WAL archive of a drill, also of one that did not restore."""
    backup, archive = drill.backup, or_none(drill.parts.archive) or ArchivePart(None, None, None)
    size = f", {quantity(backup.size, 'bytes')}" if backup.size else ""
    taken = say("{label} ({at}{size})", label=backup.label, at=clock(backup.taken_at) + " UTC", size=size)
    yield PageRow(Text("베이스 백업", "base backup"), (taken,))
    archived = say(
        "{segments} segments, last commit {at} UTC", segments=archive.segments, at=clock(archive.last_commit_at)
    )
    yield PageRow(Text("WAL 아카이브", "WAL archive"), (archive.gap or archived,))
