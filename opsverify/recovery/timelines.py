"""Timelines of a WAL archive: which one follows from a backup's, and where each begins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.recovery.lsn import parse_lsn

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.backup import BaseBackup


@dataclass(frozen=True)
class Branch:
    """A stretch of WAL history: `timeline` is written from LSN `begins` (a byte offset) on."""

    timeline: int
    begins: int


def branches(archive: Path, backup: BaseBackup, timeline: int | None = None) -> tuple[Branch, ...]:
    """Return the way from the backup's timeline to `timeline`, or to the newest that descends from it.

    The first branch begins at the backup. Raises Inconclusive when `timeline` does not descend from the
    backup.
    """
    ways: dict[int, tuple[Branch, ...]] = {backup.timeline: (Branch(backup.timeline, backup.start_lsn),)}
    for path in sorted(archive.glob("*.history")):
        if re.fullmatch(r"[0-9A-F]{8}\.history", path.name) and (way := _way(path, backup)):
            ways[way[-1].timeline] = way
    wanted = max(ways) if timeline is None else timeline
    if wanted not in ways:
        raise Inconclusive(
            f"timeline {wanted} does not descend from the backup's timeline {backup.timeline}: "
            f"known in {archive} are {', '.join(map(str, ways))}"
        )
    return ways[wanted]


def _way(path: Path, backup: BaseBackup) -> tuple[Branch, ...] | None:
    try:
        steps = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if re.match(r"\s*\d", line)]
        parents = [(int(step[0]), parse_lsn(step[1])) for step in steps]
    except (OSError, ValueError, IndexError) as error:
        raise Inconclusive(f"{path} is not understood as a timeline history: {error}") from error
    ends = dict(parents)
    if ends.get(backup.timeline, 0) < backup.end_lsn:
        return None  # it left the backup's timeline before the backup was complete, or never was on it
    later = [(number, end) for number, end in parents if number >= backup.timeline]
    starts = [backup.start_lsn, *(end for _, end in later)]
    names = [*(number for number, _ in later), int(path.stem, 16)]
    return tuple(Branch(number, begins) for number, begins in zip(names, starts, strict=True))
