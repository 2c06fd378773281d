"""Timelines of a WAL archive: which one follows from a backup's, and where each begins."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.recovery.model import Branch
from opsverify.recovery.wal.archive import find, listed, read_text
from opsverify.recovery.wal.lsn import format_lsn, parse_lsn

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup, Segment


@dataclass(frozen=True)
class Detour:
    """A stretch of WAL on `timeline` that another timeline was entered for and left again; LSNs are byte offsets."""

    timeline: int
    entered: int
    left: int

    @property
    def size(self) -> int:
        """Bytes of WAL written on it."""
        return self.left - self.entered

    @property
    def text(self) -> str:
        """What `size` counts."""
        entered, left = format_lsn(self.entered), format_lsn(self.left)
        return f"of WAL on timeline {self.timeline}, from {entered} (divergence) to {left} (way back)"


@dataclass(frozen=True)
class Way:
    """How `timeline` came about: its ancestors, oldest first, each with the LSN at which it was left."""

    timeline: int
    ancestors: tuple[tuple[int, int], ...]

    @property
    def detour(self) -> Detour | None:
        """The timeline before this one: after a switchback the DR region's. None without two ancestors."""
        if len(self.ancestors) < 2:  # noqa: PLR2004 - one to diverge from, one to come back from
            return None
        (_, entered), (timeline, left) = self.ancestors[-2:]
        return Detour(timeline, entered, left)

    def descends_from(self, timeline: int) -> bool:
        """Whether everything of `timeline`, up to where it was left, is part of this one."""
        return timeline == self.timeline or timeline in dict(self.ancestors)


def way_back(archive: Path, timeline: int) -> Way:
    """Return the way to `timeline` as its history file in `archive` tells it; the first has none and no ancestors.

    Raises Inconclusive as `history`.
    """
    name = f"{timeline:08X}.history"
    return Way(timeline, () if timeline == 1 else history(find(archive, name) or archive / name))


def branches(archive: Path, backup: BaseBackup, timeline: int | None = None) -> tuple[Branch, ...]:
    """Return the way from the backup's timeline to `timeline`, or to the newest that descends from it.

    The first branch begins at the backup. Raises Inconclusive when `timeline` does not descend from the
    backup, or the archive cannot be read.
    """
    ways: dict[int, tuple[Branch, ...]] = {backup.timeline: (Branch(backup.timeline, backup.start_lsn),)}
    try:
        files = listed(archive)
    except OSError as error:
        raise Inconclusive(f"WAL archive {archive} cannot be read: {error.strerror}") from error
    for name, path in files.items():
        if name.endswith(".history") and (way := _way(int(name[:8], 16), path, backup)):
            ways[way[-1].timeline] = way
    wanted = max(ways) if timeline is None else timeline
    if wanted not in ways:
        raise Inconclusive(
            f"timeline {wanted} does not descend from the backup's timeline {backup.timeline}: "
            f"known in {archive} are {', '.join(map(str, ways))}"
        )
    return ways[wanted]


def rivals(archive: Path, path: tuple[Branch, ...], segments: Iterable[Segment], segment_size: int) -> str | None:
    """Say which timeline of `path` is archived beyond the point where it was left for the next one; None if none is.

    A server that is recovered or promoted leaves a timeline that nobody writes any more. Where somebody still does
    after that, two servers archive into one place, and the newest timeline need not be production's. Files of an
    archive that was copied have other times: so both have to be the case, WAL beyond the point and a later arrival.
    """
    arrived = sorted(segments, key=lambda segment: segment.modified_at)
    for left, entered in pairwise(path):
        beyond = entered.begins // segment_size
        last = next((one for one in arrived[::-1] if one.timeline == left.timeline and one.number > beyond), None)
        begun = find(archive, f"{entered.timeline:08X}.history")
        if last is None or begun is None:
            continue
        since = dt.datetime.fromtimestamp(begun.stat().st_mtime, dt.UTC)
        if last.modified_at > since:
            return (
                f"timeline {entered.timeline} left timeline {left.timeline} at {format_lsn(entered.begins)} "
                f"({begun.name}, {since.isoformat()}), and {last.name} was archived after that: two servers archive "
                "here; find out which is production's, and take the other one's files away"
            )
    return None


def history(path: Path) -> tuple[tuple[int, int], ...]:
    """Ancestors of the timeline whose history file is `path`: their number and the LSN at which they were left.

    Oldest first (PostgreSQL manual, 25.3.6 Timelines). Raises Inconclusive when the file is missing or not
    understood.
    """
    try:
        lines = read_text(path).splitlines()
        steps = [line.split("\t") for line in lines if re.match(r"\s*\d", line)]
        return tuple((int(step[0]), parse_lsn(step[1])) for step in steps)
    except OSError as error:
        raise Inconclusive(f"{path}: {error.strerror}; the history of this timeline was expected there") from error
    except (ValueError, IndexError) as error:
        raise Inconclusive(f"{path} is not understood as a timeline history: {error}") from error


def _way(timeline: int, path: Path, backup: BaseBackup) -> tuple[Branch, ...] | None:
    parents = history(path)
    ends = dict(parents)
    if ends.get(backup.timeline, 0) < backup.end_lsn:
        return None  # it left the backup's timeline before the backup was complete, or never was on it
    later = [(number, end) for number, end in parents if number >= backup.timeline]
    starts = [backup.start_lsn, *(end for _, end in later)]
    names = [*(number for number, _ in later), timeline]
    return tuple(Branch(number, begins) for number, begins in zip(names, starts, strict=True))
