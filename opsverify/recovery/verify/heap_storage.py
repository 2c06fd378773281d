"""A heap's files on disk: pages of zeros, the visibility map, page LSNs; of a server that was restored beside.

Layouts: `storage/bufpage.h` (pd_lsn, the first 8 bytes) and `visibilitymap.c` (2 bits for each heap page behind the
page header; the lower one says all-visible) of PostgreSQL's sources.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PAGE: Final = 8192
_CHUNK: Final = 128 * PAGE
_ZEROS: Final = bytes(PAGE)
_HEADER: Final = 24
_PER_BYTE: Final = 4
_LSN: Final = struct.Struct("=II")


@dataclass(frozen=True)
class Heap:
    """The heap whose first file is `first`; files of further gigabytes follow it by number."""

    first: Path

    @property
    def size(self) -> int:
        """Its length in pages; one that is there in part counts."""
        return sum(-(-part.stat().st_size // PAGE) for part in _files(self.first))

    def pages(self) -> Iterator[tuple[int, bytes]]:
        """Yield each whole page with its number."""
        number = 0
        for chunk in _chunks(self.first):
            for at in range(0, len(chunk) - PAGE + 1, PAGE):
                yield number + at // PAGE, chunk[at : at + PAGE]
            number += -(-len(chunk) // PAGE)

    def zero_pages(self) -> Iterator[int]:
        """Yield the numbers of its all-zero pages."""
        number = 0
        for chunk in _chunks(self.first):
            if bytes(64) in chunk:
                for at in range(0, len(chunk), PAGE):
                    page = chunk[at : at + PAGE]
                    if page == _ZEROS[: len(page)]:
                        yield number + at // PAGE
            number += -(-len(chunk) // PAGE)

    def known_visible(self, pages: Iterable[int]) -> list[int]:
        """Return those of `pages` that the visibility map has: only a page that was in use gets there."""
        bits = self._map()
        return [page for page in pages if page // _PER_BYTE < len(bits) and _in_map(bits[page // _PER_BYTE], page)]

    @property
    def size_by_map(self) -> int:
        """How many pages it has at least, by the last one that the visibility map has."""
        bits = self._map().rstrip(bytes(1))
        if not bits:
            return 0
        begin = (len(bits) - 1) * _PER_BYTE
        return max((page + 1 for page in range(begin, begin + _PER_BYTE) if _in_map(bits[-1], page)), default=0)

    def _map(self) -> bytes:
        chunks = _chunks(self.first.with_name(f"{self.first.name}_vm"))
        return b"".join(chunk[at + _HEADER : at + PAGE] for chunk in chunks for at in range(0, len(chunk), PAGE))

    def used(self, zeroed: Iterable[int]) -> int:
        """Return its length without the all-zero pages at its end, given all that there are."""
        empty = {*zeroed}
        return next((page + 1 for page in range(self.size - 1, -1, -1) if page not in empty), 0)

    def last_untouched(self, position: int) -> int:
        """Return the last page in use that was not written since the WAL was at `position`, -1 if there is none.

        No page before it can have been cut off since: VACUUM cuts off ends, and what comes back is written anew.
        """
        untouched, number = -1, 0
        for chunk in _chunks(self.first):
            for at in range(0, len(chunk) - PAGE + 1, PAGE):
                high, low = _LSN.unpack_from(chunk, at)
                if 0 < (high << 32) + low <= position:
                    untouched = number + at // PAGE
            number += -(-len(chunk) // PAGE)
        return untouched


def _in_map(byte: int, page: int) -> bool:
    return bool(byte >> 2 * (page % _PER_BYTE) & 1)


def _chunks(first: Path) -> Iterator[bytes]:
    for part in _files(first):
        with part.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def _files(first: Path) -> Iterator[Path]:
    nth = 0
    part = first
    while part.exists():
        yield part
        nth += 1
        part = first.with_name(f"{first.name}.{nth}")
