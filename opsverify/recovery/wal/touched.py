"""Relations that a stretch of WAL changes, by pg_waldump: files of tables, with the first and the last commit."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.model import segment_name
from opsverify.recovery.wal.archive import UnreadableArchiveFile, find_file, write_plain
from opsverify.recovery.wal.commits import parse_commits
from opsverify.recovery.wal.lsn import format_lsn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from opsverify.recovery.postgres.tools import Tools

_CHANGE: Final = re.compile(
    r"^rmgr: Heap2? .*?desc: (?:INSERT|DELETE|UPDATE|HOT_UPDATE|MULTI_INSERT|CONFIRM|SPEC_INSERT)\b.*?"
    r"blkref #0: rel \d+/(\d+)/(\d+)",
    re.MULTILINE,
)
_CREATED: Final = re.compile(r"^rmgr: Storage .*?desc: CREATE (?:pg_tblspc/\d+/[^/ ]+|base)/(\d+)/(\d+)", re.MULTILINE)
_ERROR: Final = "pg_waldump: error: "
_LAST_CHECKPOINT: Final = 0xB0
"""Bytes of a segment that hold its page header and the checkpoint of a server that was stopped in good order."""
_TIMEOUT_S: Final = 3600.0


@dataclass(frozen=True)
class Touched:
    """Files (database, number) that were written in a stretch of WAL, and the times of its first and last commit."""

    files: frozenset[tuple[int, int]]
    first_commit_at: dt.datetime | None
    last_commit_at: dt.datetime | None


def touched(
    archives: Sequence[Path], timeline: int, since: int, until: int | None, segment_size: int, tools: Tools
) -> Touched:
    """Read the WAL of `timeline` from LSN `since` to `until`, or as far as it is archived, from one of `archives`.

    A last segment in which only the checkpoint of a stopped server fits may be missing: it is not archived. Raises
    Inconclusive where any other is missing or unreadable.
    """
    last = (until - 1) // segment_size if until is not None else None
    found: list[Path] = []
    names: list[str] = []
    number = since // segment_size
    while last is None or number <= last:
        name = segment_name(timeline, number, segment_size)
        path = next((path for archive in archives if (path := find_file(archive, name))), None)
        if path is None:
            if until is None or (number == last and until - number * segment_size <= _LAST_CHECKPOINT):
                until = None  # the segments that are there are read to their end
                break
            raise Inconclusive(
                say(
                    "WAL segment {name} of timeline {timeline} is in none of {archives}: what was written in the "
                    "DR region is not known; name its archive as regions.dr_wal_archive",
                    name=name,
                    timeline=timeline,
                    archives=", ".join(map(str, archives)),
                )
            )
        found.append(path)
        names.append(name)
        number += 1
    return _read(found, names, since, until, tools) if names else Touched(frozenset(), None, None)


def _read(paths: Sequence[Path], names: Sequence[str], since: int, until: int | None, tools: Tools) -> Touched:
    with tempfile.TemporaryDirectory(prefix="opsverify-wal-") as folder:
        for name, path in zip(names, paths, strict=True):
            try:
                write_plain(path, Path(folder) / name)
            except (OSError, UnreadableArchiveFile) as error:
                raise Inconclusive(say("{path} cannot be read: {error}", path=path, error=error)) from error
        span = ["-s", format_lsn(since), *(("-e", format_lsn(until)) if until is not None else ())]
        done = tools.run("pg_waldump", "-p", folder, *span, names[0], names[-1], timeout_s=_TIMEOUT_S)
    if done.exit_code != 0 and not done.stderr.startswith(_ERROR):
        raise Inconclusive(
            say(
                "pg_waldump {names}: output could not be parsed: {first_error!r}",
                names=names[0],
                first_error=done.first_error,
            )
        )
    if done.exit_code != 0 and "got 0" not in done.stderr:
        raise Inconclusive(
            say("pg_waldump {names}: {first_error}", names=names[0], first_error=done.first_error.removeprefix(_ERROR))
        )
    commits = [commit.at for commit in parse_commits(done.stdout)]
    files = {(int(database), int(file)) for one in (_CHANGE, _CREATED) for database, file in one.findall(done.stdout)}
    return Touched(frozenset(files), min(commits, default=None), max(commits, default=None))
