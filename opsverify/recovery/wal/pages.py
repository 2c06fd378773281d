"""Pages of an archived segment: each has to carry the address and the timeline that its place requires.

pg_waldump compares neither the timeline of a page with the history, nor anything after the first record that it cannot
read: a segment with a hole in it, and one of another timeline, look to it like the end of the WAL.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.recovery.wal.archive import UnreadableArchiveFile, unpacked_pieces
from opsverify.recovery.wal.lsn import format_lsn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PAGE: Final = 8192
"""XLOG_BLCKSZ of every packaged server; another size shows in the long header, and pages are then not compared."""
_HEADER: Final = struct.Struct("=HHIQ")  # XLogPageHeaderData: magic, info, timeline, address


def page_fault(path: Path, start: int, timeline_at: Callable[[int], int | None]) -> str | None:
    """Why the pages of the segment in `path`, whose WAL begins at LSN `start`, do not belong together; None if they do.

    `timeline_at` gives the timeline that a page at an LSN has to name; None where it is not known. Pages after the end
    of the WAL are zeros, or left of an earlier use of the file. Raises OSError and Inconclusive as `unpacked_pieces`.
    """
    magic = None
    ended_at: int | None = None
    for address, header in _headers(path, start):
        found, _info, timeline, own_address = _HEADER.unpack(header)
        magic = magic or found
        if found != magic or own_address != address:
            ended_at = ended_at if ended_at is not None else address
            continue
        if ended_at is not None:
            return say(
                "has a hole from {lsn} to {lsn_2}: its WAL goes on after it",
                lsn=format_lsn(ended_at),
                lsn_2=format_lsn(address),
            )
        wanted = timeline_at(address)
        if wanted is not None and timeline != wanted:
            return say(
                "holds WAL of timeline {timeline} at {lsn}, expected timeline {wanted}",
                timeline=timeline,
                lsn=format_lsn(address),
                wanted=wanted,
            )
    return None


def _headers(path: Path, start: int) -> Iterator[tuple[int, bytes]]:
    """Address and header of every whole page."""
    buffer = b""
    at = start
    try:
        for piece in unpacked_pieces(path):
            buffer += piece
            whole = len(buffer) // PAGE * PAGE
            for offset in range(0, whole, PAGE):
                yield at + offset, buffer[offset : offset + _HEADER.size]
            buffer = buffer[whole:]
            at += whole
    except UnreadableArchiveFile:
        return  # named by its size already
