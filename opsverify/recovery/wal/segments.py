"""Segments of a WAL archive: which there are, and whether each is whole and is the one that its name says."""

from __future__ import annotations

import datetime as dt
import os
import struct
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.model import Segment
from opsverify.recovery.postgres.tools import run_tool
from opsverify.recovery.wal.archive import archive_files, read_head
from opsverify.recovery.wal.lsn import format_lsn, parse_segment_name
from opsverify.recovery.wal.pages import page_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.recovery.model import BaseBackup, Branch
    from opsverify.recovery.postgres.tools import Account


_NAME: Final = 24  # digits of a segment's name
_AT_ONCE: Final = 5000
_NAME_CLOSED: Final = 'for file; do test -r "$file" || printf "%s\\n" "$file"; done'

_LONG_HEADER: Final = struct.Struct("=HHIQI4xQII")  # XLogLongPageHeaderData, in the byte order of this machine


_LONG: Final = 0x0002  # XLP_LONG_HEADER


def archive_segments(folder: Path, segment_size: int) -> tuple[Segment, ...]:
    """Return the WAL segments in `folder` in order; other files (history, .backup, .partial) are skipped.

    Raises Inconclusive when the folder cannot be read.
    """
    found = []
    try:
        for name, path in archive_files(folder).items():
            if len(name) == _NAME:
                timeline, number = parse_segment_name(name, segment_size)
                modified_at = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
                found.append(Segment(path, timeline, number, name, modified_at))
    except OSError as error:
        raise Inconclusive(
            say("WAL archive {folder} cannot be read: {error}", folder=folder, error=error.strerror)
        ) from error
    except ValueError as error:
        raise Inconclusive(say("WAL archive {folder}: {error}", folder=folder, error=error)) from error
    return tuple(sorted(found, key=lambda segment: (segment.number, segment.timeline)))


def segment_fault(segment: Segment, backup: BaseBackup, path: tuple[Branch, ...]) -> str | None:
    """Why recovery of `backup` along `path` cannot use `segment`; None where its size and every page header are right.

    Raises Inconclusive where the program that unpacks it is not installed.
    """
    try:
        found = read_head(segment.path, _LONG_HEADER.size)
        if found.fault:
            return say("cannot be unpacked from {name}: {fault}", name=segment.path.name, fault=found.fault)
        if found.size != backup.segment_size:
            return say(
                "is truncated: {size:,} of {segment_size:,} bytes", size=found.size, segment_size=backup.segment_size
            )
        if fault := _wrong_header(found.head, segment, backup):
            return fault
        return page_fault(segment.path, segment.number * backup.segment_size, partial(_timeline_of_page, path))
    except OSError as error:
        return say("cannot be read: {error} ({path})", error=error.strerror, path=segment.path)


def unreadable_for(account: Account | None, segments: Sequence[Segment]) -> dict[Path, str]:
    """Files of `segments` that `account`, as whom PostgreSQL will run, may not read, each with why."""
    if account is None:
        return {one.path: say("is not readable") for one in segments if not os.access(one.path, os.R_OK)}
    closed: dict[Path, str] = {}
    for first in range(0, len(segments), _AT_ONCE):
        names = [str(one.path) for one in segments[first : first + _AT_ONCE]]
        done = run_tool(("/bin/sh", "-c", _NAME_CLOSED, "sh", *names), account=account)
        for name in done.stdout.splitlines():
            closed[Path(name)] = say(
                "is closed to {name}, as whom PostgreSQL reads it (chmod or chown it)", name=account.name
            )
    return closed


def _timeline_of_page(path: tuple[Branch, ...], address: int) -> int | None:
    """A page names the timeline on which it was begun; the page in which a timeline begins was begun on its parent."""
    return next((branch.timeline for branch in reversed(path) if branch.begins <= address), None)


def _wrong_header(header: bytes, segment: Segment, backup: BaseBackup) -> str | None:
    if not any(header):
        return say("is zeroed: its first page header is empty")
    _magic, info, _timeline, address, _rest, system, size, _block = _LONG_HEADER.unpack(header)
    if not info & _LONG or size != backup.segment_size:
        return say("does not begin with a WAL page header")
    if system != backup.system_identifier:
        return say(
            "belongs to another database system ({system}, not {system_identifier})",
            system=system,
            system_identifier=backup.system_identifier,
        )
    if address != segment.number * size:
        return say("holds WAL of {lsn}: it was renamed or recycled", lsn=format_lsn(address))
    return None
