"""Abandoned stretches of a timeline: commits after the point at which the followed timeline left it.

A recovery to a time on such a stretch ends without an error, and with other data than somebody may expect: nothing of
it is in the timeline that is followed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from opsverify.language.message import say
from opsverify.recovery.wal.commits import read_commits
from opsverify.recovery.wal.lsn import format_lsn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from opsverify.recovery.model import Branch, Segment
    from opsverify.recovery.postgres.tools import Tools
    from opsverify.recovery.wal.commits import Commit


def abandoned(
    target: dt.datetime, path: Sequence[Branch], archived: Sequence[Segment], segment_size: int, tools: Tools
) -> str | None:
    """Describe the abandoned stretch on which `target` lies; None where recovery along `path` means the same moment.

    That is between the first commit that a timeline abandoned and the first one of the timeline that left it.
    """
    for left, entered in pairwise(path):
        first = entered.begins // segment_size

        def commits(timeline: int, first: int = first, begins: int = entered.begins) -> Iterator[Commit]:
            for segment in archived:
                if segment.timeline == timeline and segment.number >= first:
                    yield from (one for one in read_commits(segment, tools).commits if one.lsn >= begins)

        dropped = next(commits(left.timeline), None)
        if dropped is None or dropped.at > target:
            continue
        following = next(commits(entered.timeline), None)
        if following is None or target < following.at:
            since = say("; or one after {at}", at=following.at.isoformat()) if following else ""
            return say(
                "recovery target {target} lies on a stretch of timeline {timeline} that timeline "
                "{timeline_2} abandoned at {lsn}: commits from {at} on are not in its history; choose a "
                "target before that{since}",
                target=target.isoformat(),
                timeline=left.timeline,
                timeline_2=entered.timeline,
                lsn=format_lsn(entered.begins),
                at=dropped.at.isoformat(),
                since=since,
            )
    return None
