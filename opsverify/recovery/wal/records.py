"""Records of archived WAL, read through by pg_waldump from a backup's start on: how far they can be read, and commits.

Read in windows of segments, each with the first segment of the next one: a record that goes on in the next segment is
read as well, so that each segment has to end where the next one begins.
"""

from __future__ import annotations

import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.model import segment_name
from opsverify.recovery.wal.archive import UnreadableArchiveFile, write_plain
from opsverify.recovery.wal.commits import parse_commits
from opsverify.recovery.wal.lsn import format_lsn, parse_lsn, parse_segment_name

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from opsverify.recovery.model import BaseBackup, Segment
    from opsverify.recovery.postgres.tools import ToolRun, Tools

_ERROR: Final = "pg_waldump: error: "
_WINDOW_BYTES: Final = 1 << 27
_SEVERAL_MANAGERS_SINCE: Final = 15  # the first pg_waldump in which -r may be repeated
_KEPT: Final = 4096
_TIMEOUT_S: Final = 3600.0
_CREATE: Final = re.compile(r'lsn: ([0-9A-F]+/[0-9A-F]+),.*?desc: CREATE (\d+) "(.+)"$', re.MULTILINE)
_PLACE: Final = re.compile(r"\bat ([0-9A-F]+/[0-9A-F]+)|\bLSN ([0-9A-F]+/[0-9A-F]+)")
_IN_SEGMENT: Final = re.compile(r"(?:log|WAL) segment ([0-9A-F]{24}),.*?offset (\d+)")
_NO_RECORD: Final = "could not find a valid record after"
_ENDS: Final = ("expected at least", "wanted")  # invalid record length at ...: expected at least 24, got 0


@dataclass(frozen=True)
class CreatedTablespace:
    """A tablespace that a CREATE TABLESPACE record at `lsn` makes in the folder `location`."""

    lsn: int
    oid: str
    location: str


@dataclass(frozen=True)
class WalFault:
    """Why reading ends at `lsn`; `ends` says that zeros follow there, as after the last record that was written."""

    lsn: int
    reason: str
    ends: bool


@dataclass(frozen=True)
class WalReading:
    """A run of segments as far as it can be read: commits, the tablespaces made in it, and where it ends.

    `in_backup` and `after_backup` are the newest commit before and after the end of the backup, None without one.
    """

    in_backup: dt.datetime | None
    after_backup: dt.datetime | None
    tablespaces: tuple[CreatedTablespace, ...]
    fault: WalFault | None

    @property
    def last_commit_at(self) -> dt.datetime | None:
        """The newest commit since the backup began."""
        return _newest(self.in_backup, self.after_backup)


def read_through(run: Sequence[Segment], backup: BaseBackup, tools: Tools) -> WalReading:
    """Read every record of `run`, an unbroken one, from the start of `backup` on.

    Zeros in the last segment are the end of the WAL, and no fault; anywhere else they are one. Commits before the
    backup's start do not count. Raises Inconclusive when pg_waldump's output cannot be parsed.
    """
    size = backup.segment_size
    each = max(1, _WINDOW_BYTES // size)
    windows = [tuple(run[first : first + each + 1]) for first in range(0, len(run), each)]
    in_backup: dt.datetime | None = None
    after_backup: dt.datetime | None = None
    tablespaces: list[CreatedTablespace] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        readings = list(pool.map(lambda index: _read_window(windows, index, backup, tools), range(len(windows))))
    for reading in readings:
        in_backup = _newest(in_backup, reading.in_backup)
        after_backup = _newest(after_backup, reading.after_backup)
        tablespaces += [one for one in reading.tablespaces if one not in tablespaces]
        if reading.fault is not None:
            last = run[-1].number == reading.fault.lsn // size
            fault = None if last and reading.fault.ends else reading.fault
            return WalReading(in_backup, after_backup, tuple(tablespaces), fault)
    return WalReading(in_backup, after_backup, tuple(tablespaces), None)


def _newest(*moments: dt.datetime | None) -> dt.datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def _read_window(windows: Sequence[tuple[Segment, ...]], index: int, backup: BaseBackup, tools: Tools) -> WalReading:
    """Read a window; where no record begins in it, because a large one fills it, together with those before it."""
    for first in range(index, -1, -1):
        window = tuple(dict.fromkeys(segment for one in windows[first : index + 1] for segment in one))
        reading = _read(
            tuple(map(_fingerprint, window)), backup.segment_size, (backup.start_lsn, backup.end_lsn), tools
        )
        if reading.fault is None or _NO_RECORD not in reading.fault.reason:
            return reading
    return reading


def _fingerprint(segment: Segment) -> tuple[int, int, Path, int, int]:
    try:
        state = segment.path.stat()
    except OSError as error:
        raise Inconclusive(say("{path} cannot be read: {error}", path=segment.path, error=error.strerror)) from error
    return segment.timeline, segment.number, segment.path, state.st_size, state.st_mtime_ns


# By size and time, not by path alone: an archive changes while it is read. A drill asks several times.
@lru_cache(_KEPT)
def _read(
    window: tuple[tuple[int, int, Path, int, int], ...], size: int, backup_lsns: tuple[int, int], tools: Tools
) -> WalReading:
    start_lsn, end_lsn = backup_lsns
    with tempfile.TemporaryDirectory(prefix="opsverify-wal-") as name:
        folder = Path(name)
        # pg_waldump follows one timeline only, and does not compare it with the pages.
        names = [segment_name(window[-1][0], number, size) for _, number, *_ in window]
        for plain, (_, number, path, *_rest) in zip(names, window, strict=True):
            try:
                write_plain(path, folder / plain)
            except UnreadableArchiveFile as error:
                return WalReading(None, None, (), WalFault(number * size, f"{path.name}: {error}", ends=False))
            except OSError as error:
                raise Inconclusive(say("{path} cannot be read: {error}", path=path, error=error.strerror)) from error
        output, fault = _dump(folder, names, max(start_lsn, window[0][1] * size), size, tools)
    commits = [commit for commit in parse_commits(output) if commit.lsn >= start_lsn]
    made = [CreatedTablespace(parse_lsn(at), oid, location) for at, oid, location in _CREATE.findall(output)]
    return WalReading(
        max((commit.at for commit in commits if commit.lsn < end_lsn), default=None),
        max((commit.at for commit in commits if commit.lsn >= end_lsn), default=None),
        tuple(one for one in made if one.lsn >= start_lsn),
        fault,
    )


def _dump(folder: Path, names: Sequence[str], start: int, size: int, tools: Tools) -> tuple[str, WalFault | None]:
    """Run pg_waldump over the segments `names` from LSN `start` on; its output, and where it stopped early."""
    managers: list[tuple[str, ...]] = [("-r", "Transaction", "-r", "Tablespace")]
    if tools.major < _SEVERAL_MANAGERS_SINCE:
        managers = [("-r", "Transaction"), ("-r", "Tablespace")]
    output, fault = "", None
    for chosen in managers:
        span = ("-s", format_lsn(start), names[0], names[-1])
        done = tools.run("pg_waldump", "-p", folder, *chosen, *span, timeout_s=_TIMEOUT_S)
        output += done.stdout
        fault = _fault(done, start, size)
    return output, fault


def _fault(done: ToolRun, start: int, size: int) -> WalFault | None:
    if done.exit_code == 0:
        return None
    if not done.stderr.startswith(_ERROR):
        raise Inconclusive(
            say(
                "pg_waldump {program}: output could not be parsed: {line!r}", program=done.argv[-2], line=done.last_line
            )
        )
    reason = done.last_line.removeprefix(_ERROR)
    zeros = "magic number 0000" in reason or (
        "invalid record length" in reason and "got 0" in reason and any(words in reason for words in _ENDS)
    )
    return WalFault(_place(reason, start, size), reason, zeros)


def _place(reason: str, start: int, size: int) -> int:
    """Where pg_waldump stopped: the last place that its message names, else `start`."""
    places = [parse_lsn(one or other) for one, other in _PLACE.findall(reason)]
    for name, offset in _IN_SEGMENT.findall(reason):
        places.append(parse_segment_name(name, size)[1] * size + int(offset))
    return max([*places, start])
