"""Model of a recovery: the base backup, WAL segments and spans of timelines, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path


@dataclass(frozen=True)
class BaseBackup:
    """A base backup as its label and manifest describe it; LSNs are byte offsets, times are aware.

    `finished_at` is known only from the backup history file in the WAL archive, or from a catalogue. An
    incremental backup builds upon the one that starts at `builds_on_lsn`.
    """

    path: Path
    major: int
    label: str
    start_lsn: int
    end_lsn: int
    timeline: int
    system_identifier: int
    segment_size: int
    started_at: dt.datetime
    finished_at: dt.datetime | None
    builds_on_lsn: int | None = None

    @property
    def first_segment(self) -> str:
        """The WAL segment with which recovery begins."""
        return segment_name(self.timeline, self.start_lsn // self.segment_size, self.segment_size)


WAL_PER_ID: Final = 0x1_0000_0000
"""Bytes of WAL for each value of the middle eight digits of a segment's name."""


def segment_name(timeline: int, number: int, segment_size: int) -> str:
    """Return the file name of segment `number` (counted from the start of the WAL) on `timeline`."""
    per_id = WAL_PER_ID // segment_size
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}"


@dataclass(frozen=True)
class Segment:
    """One segment, in the file `path` (which may be compressed); `modified_at` is when it was archived."""

    path: Path
    timeline: int
    number: int
    name: str
    modified_at: dt.datetime


@dataclass(frozen=True)
class Branch:
    """A span of WAL history: `timeline` is written from LSN `begins` (a byte offset) on."""

    timeline: int
    begins: int
