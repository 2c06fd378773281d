"""Continuity of a WAL archive: whether its segments follow each other from a backup on, and how far they reach."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.recovery.model import Branch, Segment, segment_name
from opsverify.recovery.postgres.tools import unprivileged
from opsverify.recovery.wal.abandoned import abandoned
from opsverify.recovery.wal.commits import Tail, tail_of
from opsverify.recovery.wal.lsn import format_lsn
from opsverify.recovery.wal.records import read_through
from opsverify.recovery.wal.segments import archive_segments, segment_fault, unreadable_for
from opsverify.recovery.wal.timelines import branches, on_path, second_archiver, timeline_at, timeline_problem

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup
    from opsverify.recovery.postgres.tools import Tools
    from opsverify.recovery.wal.records import WalFault


MARGIN: Final = dt.timedelta(seconds=1)
"""How far before the last archived commit a recovery target has to lie."""
LEAST: Final = dt.timedelta(microseconds=1)
"""Recovery ends at the first commit *after* its target: a target lies at least this much before it."""


@dataclass(frozen=True)
class Continuity:
    """How far WAL of the archive follows a backup, without a gap, on `timeline`.

    `first` .. `last` is the unbroken run (`last` is None when already the first is missing); `gaps` are
    missing segments before the newest archived one; `damaged` are segments that are there and unusable, each
    with its reason; `last_commit_at` is the last commit in the run, after which data is lost if the run ends
    early. `reaches`: whether the run leads to the given place (None: none was given). `second_archiver`: why another
    server seems to archive a timeline of its own into the same folder. `timeline_problem`: why another timeline may be
    production's. `abandoned`: why the given time lies on a stretch that the followed timeline left behind.
    """

    timeline: int
    first: str
    last: str | None
    segments: int
    gaps: tuple[str, ...]
    damaged: tuple[str, ...]
    last_commit_at: dt.datetime | None
    reaches: bool | None
    second_archiver: str | None = None
    timeline_problem: str | None = None
    abandoned: str | None = None
    committed_in_backup: dt.datetime | None = None
    committed_after_backup: dt.datetime | None = None

    @property
    def unbroken(self) -> bool:
        """Whether nothing is missing or damaged from the backup to the newest archived segment."""
        return self.last is not None and not self.gaps and not self.damaged

    def newest_target(self, margin: dt.timedelta = MARGIN) -> dt.datetime | None:
        """The newest point in time that recovery reaches, `margin` before the last commit; None: only the backup's end.

        Recovery stops at the first commit *after* its target, and must not stop before the end of the backup.
        """
        if self.committed_after_backup is None:
            return None
        target = self.committed_after_backup - margin
        return None if self.committed_in_backup and target < self.committed_in_backup else target

    @property
    def problem(self) -> str | None:
        """What breaks the run, for a message of one line; None when nothing does."""
        if self.damaged:
            what = say("WAL segment {damaged}", damaged=self.damaged[0])
        elif self.first in self.gaps or (self.last is None and not self.gaps):
            what = say("WAL segment {first} is missing, with which recovery begins", first=self.first)
        elif self.gaps:
            what = say("WAL segment {gaps} is missing", gaps=self.gaps[0])
        else:
            return self.timeline_problem or self.second_archiver
        more = len(self.damaged) + len(self.gaps) - 1
        others = say(" (and {more} more)", more=more) if more > 0 else ""
        since = f"{self.last_commit_at.isoformat()}" if self.last_commit_at else say("the backup itself")
        return say("{what}{others}: commits after {since} cannot be recovered", what=what, others=others, since=since)


def continuity(
    backup: BaseBackup,
    archive: Path,
    tools: Tools,
    until: int | dt.datetime | None = None,
    timeline: int | None = None,
) -> Continuity:
    """Follow the archive from the backup's first segment to its newest, up to `timeline`.

    `until` is an LSN or an aware time; without `timeline` the newest one that descends from the backup's is
    taken. Size and page headers of every segment are verified, and every record from the backup's start on is read.
    Raises Inconclusive when the archive cannot be read or a tool's output cannot be parsed.
    """
    size = backup.segment_size
    path = branches(archive, backup, timeline)
    followed = _follow(backup, archive, path, for_server=True)
    run, damaged = list(followed.run), list(followed.damaged)
    reading = read_through(run, backup, tools)
    if (fault := reading.fault) is not None:
        number = fault.lsn // size
        name = next((segment.name for segment in run if segment.number == number), run[-1].name)
        damaged.insert(0, say("{name} is unreadable: {fault}", name=name, fault=_in_words(fault)))
        run = [segment for segment in run if segment.number < number]
    archived = archive_segments(archive, size)
    return Continuity(
        timeline=path[-1].timeline,
        first=segment_name(backup.timeline, backup.start_lsn // size, size),
        last=run[-1].name if run else None,
        segments=len(run),
        gaps=followed.gaps,
        damaged=tuple(damaged),
        last_commit_at=reading.last_commit_at,
        committed_in_backup=reading.in_backup,
        committed_after_backup=reading.after_backup,
        reaches=_reaches(until, run, reading.last_commit_at, size),
        second_archiver=second_archiver(archive, path, archived, size),
        timeline_problem=timeline_problem(archive, path, backup, archived) if timeline is None else None,
        abandoned=abandoned(until, path, archived, size, tools) if isinstance(until, dt.datetime) else None,
    )


def _in_words(fault: WalFault) -> str:
    if fault.ends:
        return say(
            "its records end at {lsn}, and zeros follow: it was copied while it was written", lsn=format_lsn(fault.lsn)
        )
    return fault.reason


def tail(
    backup: BaseBackup,
    archive: Path,
    tools: Tools,
    until: dt.datetime,
    timeline: int | None = None,
    disaster_at: dt.datetime | None = None,
) -> Tail:
    """Count the commits of `archive` past a recovery of `backup` to `until` up to `timeline`.

    Without `timeline` the newest one. Only the unbroken run counts, and of it what was committed by `disaster_at`.
    Raises Inconclusive as `continuity` does.
    """
    return tail_of(unbroken_run(backup, archive, branches(archive, backup, timeline)), tools, until, disaster_at)


def unbroken_run(backup: BaseBackup, archive: Path, path: tuple[Branch, ...]) -> list[Segment]:
    """Return the segments with which recovery of `backup` follows `path`, up to the first missing or damaged one."""
    return list(_follow(backup, archive, path).run)


@dataclass(frozen=True)
class _Followed:
    """The unbroken run of segments from the backup's first on, what is missing, and what is damaged."""

    run: tuple[Segment, ...]
    gaps: tuple[str, ...]
    damaged: tuple[str, ...]


def _follow(backup: BaseBackup, archive: Path, path: tuple[Branch, ...], *, for_server: bool = False) -> _Followed:
    """Follow `path`; `for_server` also requires that a restored server's account may read the archive."""
    size = backup.segment_size
    own_wal = backup.path / "pg_wal"  # a backup may hold the WAL that makes it consistent
    segments = [
        *(archive_segments(own_wal, size) if own_wal.is_dir() else ()),
        *archive_segments(archive, size),
    ]
    segments_by_key = {(segment.timeline, segment.number): segment for segment in segments}
    newest = max((segment.number for segment in segments if on_path(path, segment, size)), default=-1)
    newest = max(newest, _never_begun(path, segments_by_key, size))
    needed = [(timeline_at(path, number, size), number) for number in range(backup.start_lsn // size, newest + 1)]
    there = [segments_by_key[key] for key in needed if key in segments_by_key]
    fetched = [segment for segment in there if segment.path.parent == archive]  # the others are copied beforehand
    closed = unreadable_for(unprivileged(reading=archive), fetched) if for_server else {}
    with ThreadPoolExecutor() as pool:  # compressed segments keep every processor busy
        found = pool.map(lambda one: closed.get(one.path) or segment_fault(one, backup, path), there)
        faults = dict(zip(there, found, strict=True))
    run: list[Segment] = []
    gaps: list[str] = []
    damaged: list[str] = []
    for owner, number in needed:
        segment = segments_by_key.get((owner, number))
        if segment is None:
            gaps.append(segment_name(owner, number, size))
        elif fault := faults[segment]:
            damaged.append(say("{name} {fault}", name=segment.name, fault=fault))
        elif not gaps and not damaged:
            run.append(segment)
    return _Followed(tuple(run), tuple(gaps), tuple(damaged))


def _never_begun(path: tuple[Branch, ...], segments_by_key: Collection[tuple[int, int]], size: int) -> int:
    """The number of the last timeline's first segment where only its parent's WAL goes on after it; else -1.

    A history without WAL of its own is a promotion of a moment ago, or got into the archive from elsewhere (a
    rehearsal that archives): recovery follows it, and would end without an error where it begins.
    """
    if len(path) == 1:
        return -1
    parent, last = path[-2:]
    first = last.begins // size
    begun = any(timeline == last.timeline and number >= first for timeline, number in segments_by_key)
    parent_goes_on = any(timeline == parent.timeline and number > first for timeline, number in segments_by_key)
    return first if parent_goes_on and not begun else -1


def _reaches(
    until: int | dt.datetime | None, run: Sequence[Segment], last_commit_at: dt.datetime | None, size: int
) -> bool | None:
    if until is None:
        return None
    if isinstance(until, int):
        return bool(run) and until <= (run[-1].number + 1) * size
    return last_commit_at is not None and last_commit_at > until  # recovery ends before the first later commit
