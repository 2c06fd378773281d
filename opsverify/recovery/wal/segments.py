"""Segments of a WAL archive: which there are, and whether each is whole and is the one that its name says."""

from __future__ import annotations

import datetime as dt
import struct
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.recovery.model import Segment
from opsverify.recovery.wal.archive import archive_files, read_head
from opsverify.recovery.wal.lsn import format_lsn, parse_segment_name

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup


_NAME: Final = 24  # digits of a segment's name


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
        raise Inconclusive(f"WAL archive {folder} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Inconclusive(f"WAL archive {folder}: {error}") from error
    return tuple(sorted(found, key=lambda segment: (segment.number, segment.timeline)))


def segment_fault(segment: Segment, backup: BaseBackup) -> str | None:
    """Why recovery of `backup` cannot use `segment`; None where its size and first page header are right.

    A compressed one is read through. Raises Inconclusive where it cannot be read.
    """
    try:
        found = read_head(segment.path, _LONG_HEADER.size)
    except OSError as error:
        raise Inconclusive(f"{segment.path} cannot be read: {error.strerror}") from error
    if found.fault:
        return f"cannot be unpacked from {segment.path.name}: {found.fault}"
    if found.size != backup.segment_size:
        return f"is truncated: {found.size:,} of {backup.segment_size:,} bytes"
    return _wrong_header(found.head, segment, backup)


def _wrong_header(header: bytes, segment: Segment, backup: BaseBackup) -> str | None:
    if not any(header):
        return "is zeroed: its first page header is empty"
    _magic, info, _timeline, address, _rest, system, size, _block = _LONG_HEADER.unpack(header)
    if not info & _LONG or size != backup.segment_size:
        return "does not begin with a WAL page header"
    if system != backup.system_identifier:
        return f"belongs to another database system ({system}, not {backup.system_identifier})"
    if address != segment.number * size:
        return f"holds WAL of {format_lsn(address)}: it was renamed or recycled"
    return None
