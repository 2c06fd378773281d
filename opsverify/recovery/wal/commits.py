"""Commits in archived WAL, as `pg_waldump` reads them: time, position, and how many lie past a point in time."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.wal.archive import UnreadableArchiveFile, plain_folder
from opsverify.recovery.wal.lsn import parse_lsn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opsverify.recovery.model import Segment
    from opsverify.recovery.postgres.tools import Tools

_COMMIT: Final = re.compile(
    r"lsn: ([0-9A-F]+/[0-9A-F]+),.*?desc: COMMIT(?:_PREPARED)? (?:\S+: )?"
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC"
)
_ERROR: Final = "pg_waldump: error: "


@dataclass(frozen=True)
class Commit:
    """One COMMIT record: where it begins (a byte offset) and its time (UTC)."""

    lsn: int
    at: dt.datetime


@dataclass(frozen=True)
class SegmentCommits:
    """The commits of one segment, in the order of the log; `fault` is why it cannot be read, None if it can.

    With a fault, the commits before it.
    """

    commits: tuple[Commit, ...]
    fault: str | None = None


@dataclass(frozen=True)
class Tail:
    """Commits of an archive, split at the end of a recovery to a point in time.

    `recovered_to` is the last commit that such a recovery restores (None: there was none since the backup),
    `newest` the last one archived, `lost` how many archived commits lie past the point where recovery stops.
    """

    recovered_to: dt.datetime | None
    newest: dt.datetime | None
    lost: int


def read_commits(segment: Segment, tools: Tools) -> SegmentCommits:
    """Read the commits of `segment`. Raises Inconclusive when pg_waldump's output cannot be parsed."""
    try:
        with plain_folder(segment.name, segment.path) as folder:
            answer = tools.run("pg_waldump", "-p", folder, "-r", "Transaction", segment.name, segment.name)
    except UnreadableArchiveFile as error:
        return SegmentCommits((), f"{segment.path.name}: {error}")
    except OSError as error:
        raise Inconclusive(
            say("{path} cannot be unpacked: {error}", path=segment.path, error=error.strerror)
        ) from error
    if answer.exit_code != 0 and not _ends_quietly(answer.stderr):
        if not answer.stderr.startswith(_ERROR):
            raise Inconclusive(
                say("pg_waldump {name}: output could not be parsed: {line!r}", name=segment.name, line=answer.last_line)
            )
        return SegmentCommits(tuple(parse_commits(answer.stdout)), answer.last_line.removeprefix(_ERROR))
    return SegmentCommits(tuple(parse_commits(answer.stdout)))


def parse_commits(output: str) -> Iterable[Commit]:
    """Commits in what pg_waldump printed, run with `TZ=UTC`."""
    for match in _COMMIT.finditer(output):
        yield Commit(parse_lsn(match[1]), dt.datetime.fromisoformat(match[2]).replace(tzinfo=dt.UTC))


def tail_of(
    segments: Sequence[Segment], tools: Tools, until: dt.datetime, disaster_at: dt.datetime | None = None
) -> Tail:
    """Split the commits of `segments` (an unbroken run, oldest first) where recovery to `until` stops.

    That is before the first commit, in the order of the log, whose time is later than `until`
    (recovery_target_inclusive = on; PostgreSQL manual, 19.5.6). Read from the end, and no further back than to
    the first segment with a restored commit. Commits after `disaster_at` do not count.
    Raises Inconclusive for a segment that cannot be read.
    """
    later: list[Commit] = []
    for segment in reversed(segments):
        reading = read_commits(segment, tools)
        if reading.fault:
            raise Inconclusive(
                say("WAL segment {name} cannot be read: {fault}", name=segment.name, fault=reading.fault)
            )
        later[:0] = reading.commits
        if any(commit.at <= until for commit in reading.commits):
            break
    return split(later, until, disaster_at)


def split(commits: Sequence[Commit], until: dt.datetime, disaster_at: dt.datetime | None = None) -> Tail:
    """Split `commits`, in the order of the log, as `tail_of` does."""
    commits = [commit for commit in commits if disaster_at is None or commit.at <= disaster_at]
    restored = next((index for index, commit in enumerate(commits) if commit.at > until), len(commits))
    return Tail(
        recovered_to=commits[restored - 1].at if restored else None,
        newest=max((commit.at for commit in commits), default=None),
        lost=len(commits) - restored,
    )


def _ends_quietly(stderr: str) -> bool:
    # A segment whose server was stopped before filling it ends in zeroes, which is no damage.
    return "invalid record length" in stderr and "got 0" in stderr
