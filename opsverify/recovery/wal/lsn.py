"""LSNs, positions in the WAL: `0/2000028` as text, a byte offset as number, and the names of WAL segments."""

from __future__ import annotations

from opsverify.language.message import say
from opsverify.recovery.model import WAL_PER_ID


def parse_lsn(text: str) -> int:
    """Return the byte offset of `text`, such as `0/2000028`. Raises ValueError when it is no LSN."""
    high, _, low = text.strip().partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def format_lsn(lsn: int) -> str:
    """Return a byte offset as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_segment_name(name: str, segment_size: int) -> tuple[int, int]:
    """Timeline and number of the segment file `name`. Raises ValueError when it is none of this size."""
    per_id = WAL_PER_ID // segment_size
    timeline, high, low = (int(name[at : at + 8], 16) for at in (0, 8, 16))
    if low >= per_id:
        raise ValueError(say("{name} is not a segment of {segment_size} bytes", name=name, segment_size=segment_size))
    return timeline, high * per_id + low
