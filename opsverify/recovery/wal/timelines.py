"""Timelines of a WAL archive: which one follows from a backup's, and where each begins."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.language.message import say
from opsverify.recovery.model import Branch
from opsverify.recovery.wal.archive import archive_files, find_file, read_text
from opsverify.recovery.wal.lsn import format_lsn, parse_lsn

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup, Segment


@dataclass(frozen=True)
class PassedTimeline:
    """WAL on `timeline` between two others: from LSN `entered` to LSN `left` (byte offsets)."""

    timeline: int
    entered: int
    left: int

    @property
    def size(self) -> int:
        """Bytes of WAL written on it."""
        return self.left - self.entered

    @property
    def text(self) -> str:
        """`size` in words."""
        entered, left = format_lsn(self.entered), format_lsn(self.left)
        return say(
            "of WAL on timeline {timeline}, from {entered} (divergence) to {left} (switchback)",
            timeline=self.timeline,
            entered=entered,
            left=left,
        )


@dataclass(frozen=True)
class TimelinePath:
    """Ancestors of `timeline`, oldest first, each with the LSN at which the next one left it."""

    timeline: int
    ancestors: tuple[tuple[int, int], ...]

    @property
    def passed(self) -> PassedTimeline | None:
        """The timeline before this one: after a switchback the DR region's. None without two ancestors."""
        if len(self.ancestors) < 2:  # noqa: PLR2004 - one to diverge from, one to switch back from
            return None
        (_, entered), (timeline, left) = self.ancestors[-2:]
        return PassedTimeline(timeline, entered, left)

    def descends_from(self, timeline: int) -> bool:
        """Whether everything of `timeline`, up to where it was left, is part of this one."""
        return timeline == self.timeline or timeline in dict(self.ancestors)


def timeline_path(archive: Path, timeline: int) -> TimelinePath:
    """Return the path to `timeline`, from its history file in `archive`; the first has none and no ancestors.

    Raises Inconclusive as `history`.
    """
    name = f"{timeline:08X}.history"
    return TimelinePath(timeline, () if timeline == 1 else history(find_file(archive, name) or archive / name))


def branches(archive: Path, backup: BaseBackup, timeline: int | None = None) -> tuple[Branch, ...]:
    """Return the path from the backup's timeline to `timeline`, or to the newest that descends from it.

    The first branch begins at the backup. Raises NotRestorable for a history that cannot be parsed, Inconclusive when
    `timeline` does not descend from the backup, or the archive cannot be read.
    """
    paths: dict[int, tuple[Branch, ...]] = {backup.timeline: (Branch(backup.timeline, backup.start_lsn),)}
    for number, path in _histories(archive).items():
        try:
            found = _path(number, history(path), backup)
        except Inconclusive as error:
            raise NotRestorable(str(error)) from error
        if found:
            paths[number] = found
    wanted = max(paths) if timeline is None else timeline
    if wanted not in paths:
        raise Inconclusive(
            say(
                "timeline {wanted} does not descend from the backup's timeline {timeline}: known in "
                "{archive} are {timelines}",
                wanted=wanted,
                timeline=backup.timeline,
                archive=archive,
                timelines=", ".join(map(str, paths)),
            )
        )
    return paths[wanted]


def second_archiver(
    archive: Path, path: tuple[Branch, ...], segments: Iterable[Segment], segment_size: int
) -> str | None:
    """Describe the timeline of `path` that is archived past the point where the next one left it; None without one.

    After a recovery or promotion no server writes the old timeline any more. Where its WAL still arrives, two servers
    archive into one folder, and the newest timeline need not be production's. Files of a copied archive have other
    times: so both conditions must hold, WAL past the point and a later file time.
    """
    arrived = sorted(segments, key=lambda segment: segment.modified_at)
    for left, entered in pairwise(path):
        limit = entered.begins // segment_size
        last = next((one for one in arrived[::-1] if one.timeline == left.timeline and one.number > limit), None)
        begun = find_file(archive, f"{entered.timeline:08X}.history")
        if last is None or begun is None:
            continue
        since = dt.datetime.fromtimestamp(begun.stat().st_mtime, dt.UTC)
        if last.modified_at > since:
            return say(
                "timeline {timeline} left timeline {timeline_2} at {lsn} ({name}, {since}), and {name_2} "
                "was archived after that: two servers archive here; keep production's files and move the "
                "other server's away",
                timeline=entered.timeline,
                timeline_2=left.timeline,
                lsn=format_lsn(entered.begins),
                name=begun.name,
                since=since.isoformat(),
                name_2=last.name,
            )
    return None


def history(path: Path) -> tuple[tuple[int, int], ...]:
    """Ancestors of the timeline whose history file is `path`: their number and the LSN at which they were left.

    Oldest first (PostgreSQL manual, 25.3.6 Timelines). Raises Inconclusive when the file is missing or cannot
    be parsed.
    """
    try:
        lines = read_text(path).splitlines()
        steps = [line.split("\t") for line in lines if re.match(r"\s*\d", line)]
        return tuple((int(step[0]), parse_lsn(step[1])) for step in steps)
    except OSError as error:
        raise Inconclusive(
            say("{path}: {error}; expected the history file of this timeline", path=path, error=error.strerror)
        ) from error
    except (ValueError, IndexError) as error:
        raise Inconclusive(
            say("{path} could not be parsed as a timeline history: {error}", path=path, error=error)
        ) from error


def timeline_problem(
    archive: Path, path: tuple[Branch, ...], backup: BaseBackup, segments: Iterable[Segment]
) -> str | None:
    """Why `path` need not be the timeline that production is on; None where the archive knows of no other.

    A later timeline without a history cannot be followed. One whose history leaves the backup's timeline before the
    backup was complete abandoned it: PostgreSQL refuses to recover the backup to the latest timeline.
    """
    histories = _histories(archive)
    archived: dict[int, list[str]] = {}
    for segment in segments:
        archived.setdefault(segment.timeline, []).append(segment.name)
    known = {branch.timeline for branch in path}
    for number in sorted({*histories, *archived} - known):
        if number < path[-1].timeline:
            continue
        if number not in histories:
            names = sorted(archived[number])
            return say(
                "{count} WAL segments of timeline {number} are archived ({names} to {names_2}), and "
                "{number:08X}.history is missing: recovery cannot follow them; copy the history file "
                "from pg_wal of production, or move another server's segments away",
                count=len(names),
                number=number,
                names=names[0],
                names_2=names[-1],
            )
        ends = dict(history(histories[number]))
        left = ends.get(backup.timeline)
        where = say("left it at {lsn}", lsn=format_lsn(left)) if left is not None else say("does not descend from it")
        return say(
            "the backup lies on a stretch of timeline {timeline} that timeline {number} abandoned "
            "({name} {where}, the backup ends at {lsn}): take a new base backup of production, or "
            "move another server's history and segments away",
            timeline=backup.timeline,
            number=number,
            name=histories[number].name,
            where=where,
            lsn=format_lsn(backup.end_lsn),
        )
    return None


def _histories(archive: Path) -> dict[int, Path]:
    try:
        files = archive_files(archive)
    except OSError as error:
        raise Inconclusive(
            say("WAL archive {archive} cannot be read: {error}", archive=archive, error=error.strerror)
        ) from error
    return {int(name[:8], 16): path for name, path in files.items() if name.endswith(".history")}


def timeline_at(path: tuple[Branch, ...], number: int, segment_size: int) -> int:
    """The timeline from whose file recovery along `path` reads segment `number`.

    The segment in which a timeline begins is read from that timeline, whose file has a copy of what came before.
    """
    return next(branch.timeline for branch in reversed(path) if branch.begins // segment_size <= number)


def on_path(path: tuple[Branch, ...], segment: Segment, segment_size: int) -> bool:
    """Whether recovery along `path` reads `segment`."""
    first = path[0].begins // segment_size
    return first <= segment.number and timeline_at(path, segment.number, segment_size) == segment.timeline


def _path(timeline: int, parents: tuple[tuple[int, int], ...], backup: BaseBackup) -> tuple[Branch, ...] | None:
    ends = dict(parents)
    if ends.get(backup.timeline, 0) < backup.end_lsn:
        return None  # it left the backup's timeline before the backup was complete, or does not descend from it
    later = [(number, end) for number, end in parents if number >= backup.timeline]
    starts = [backup.start_lsn, *(end for _, end in later)]
    names = [*(number for number, _ in later), timeline]
    return tuple(Branch(number, begins) for number, begins in zip(names, starts, strict=True))
