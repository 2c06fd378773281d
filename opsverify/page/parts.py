"""Parts that the pages of a rehearsal and of an incident share: figures, witnesses, what was lost."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from opsverify.limits import Limit, brief, quantity
from opsverify.page.model import UNKNOWN, Figure, Note, Row, Text, same
from opsverify.page.runs import DATA, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.drill import Drill
    from opsverify.page.runs import Run

_ABSENT: Final = "not_applicable"
_WITNESSES: Final = {
    "heartbeat": Text("하트비트", "heartbeat"),
    "archive": Text("아카이브", "archive"),
    "server": Text("서버", "server"),
}


def objective(label: Text, seconds: float | None, limit: Limit | None) -> Figure:
    """A duration held against its objective."""
    if limit is None or seconds is None:
        return Figure(label, UNKNOWN if seconds is None else brief(seconds), None, None, None)
    said = Text(f"목표 {limit.for_people}", f"objective {limit.for_people}")
    return Figure(label, brief(seconds), said, seconds / limit.bound if limit.bound else None, limit.holds(seconds))


def limit_of(run: Run, check_id: str) -> Limit | None:
    """The limit that a check of the run was held against, in seconds."""
    for check in run.verdict["checks"]:
        if check["id"] == check_id and check["limit"]:
            return Limit.parse(f"{check['limit']} s", "s")
    return None


def witnesses_of(run: Run) -> tuple[Row, ...]:
    """The statements of the witnesses of a recovery."""
    testimony = run.testimony
    rows = []
    for said in testimony["witnesses"] if testimony else ():
        heading = _WITNESSES.get(said["name"], Text(said["name"], said["name"]))
        lost = "" if said["lost"] is None else f"{said['lost']:,} {said['counted']}"
        if said["bound"]:
            lost += f" ({said['bound']:,} transactions begun)"
        cells = (
            (said["absent"], "", "") if said["absent"] else (clock(said["recovered_to"]), clock(said["newest"]), lost)
        )
        rows.append(Row(heading, cells))
    if testimony and testimony["problem"]:
        rows.append(Row(Text("불일치", "disagreement"), (testimony["problem"], "", "")))
    return tuple(rows)


def sources(drill: Drill) -> Iterator[Row]:
    """From what was, or would be, restored."""
    size = f", {quantity(drill.size, 'bytes')}" if drill.size else ""
    yield Row(Text("베이스 백업", "base backup"), (f"{drill.base_backup} ({clock(drill.backup_at)} UTC{size})",))
    archived = f"{drill.segments} segments, last commit {clock(drill.last_commit_at)} UTC"
    yield Row(Text("WAL 아카이브", "WAL archive"), (drill.continuity or archived,))


def lost_of(run: Run, most: int = 5) -> tuple[Note, ...]:
    """What was lost: the window, as the witnesses say, and every table or bucket that differs."""
    notes = []
    different = [check for check in run.reds if check["id"].startswith(DATA)]
    for check in run.verdict["checks"]:
        if check["id"] == "restore.rpo_witnesses" and check["outcome"] != _ABSENT:
            window = _window(check["message"])
            notes.append(Note(Text(f"구간: {window}", f"window: {window}"), _kind(check)))
    notes += [Note(same(f"{check['id']}: {shortened(check['message'])}"), _kind(check)) for check in different[:most]]
    if len(different) > most:
        more = len(different) - most
        notes.append(Note(Text(f"그 밖에 {more}건", f"and {more} more")))
    compared = [
        check for check in run.verdict["checks"] if check["id"].startswith(DATA) and check["outcome"] != _ABSENT
    ]
    green = sum(check["outcome"] == "pass" for check in compared)
    if compared:
        notes.append(
            Note(
                Text(
                    f"테이블·버킷 비교 {len(compared)}건 중 {green}건 일치",
                    f"{green} of {len(compared)} comparisons of tables and buckets agree",
                )
            )
        )
    return tuple(notes)


def clock(moment: str | None) -> str:
    """A time of the evidence as a table shows it: UTC, to the millisecond."""
    if not moment:
        return UNKNOWN
    return dt.datetime.fromisoformat(moment).astimezone(dt.UTC).strftime("%m-%d %H:%M:%S.%f")[:-3]


def _window(message: str) -> str:
    return message.partition("; ")[0] if "transactions lost" in message else shortened(message)


def _kind(check: dict[str, str]) -> str:
    return check["outcome"] if check["outcome"] in ("fail", "inconclusive") else ""
