"""The layout of PostgreSQL's pages: headers, special areas and line pointers of every access method, read from a file.

A checksum says that a page is as it was written, not that it was written rightly, nor that it is a page of this
relation. Layouts: `storage/bufpage.h`, and `nbtree.h`, `hash.h`, `gist.h`, `ginblock.h`, `spgist_private.h`,
`brin_page.h`, `sequence.c`, `contrib/bloom` of PostgreSQL's sources.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = 8192
ZEROS: Final = bytes(PAGE)
HEADER: Final = 24
ALL_VISIBLE: Final = 4
"""pd_flags: every row of the page is visible to all."""
_KNOWN_FLAGS: Final = 7
_VERSION: Final = PAGE | 4
_HEADER: Final = struct.Struct("=IIHHHHHH")
_NO_PAGE: Final = 0xFFFFFFFF
_NORMAL: Final = 1


_SEQUENCE_COLUMNS: Final = 3
_ROW_HEADER: Final = 24
_SEQUENCE_ROW: Final = _ROW_HEADER + 8 + 8 + 1


@dataclass(frozen=True)
class Layout:
    """Pages of one access method: the `special` area's size, and a mark by which its pages are known.

    `mark` is at the end of each page, one of these values (`size` bytes); `link` is where, in the special area, the
    number of the next page is; `magic` stands on the first page; pages with one of `plain` flags, at `flags`, have no
    line pointers.
    """

    special: int
    mark: tuple[int, ...] = ()
    size: int = 2
    link: int | None = None
    magic: int | None = None
    flags: int | None = None
    plain: int = 0
    items: bool = False


HEAP: Final = Layout(0)
"""A heap's pages, and those of free space and visibility maps; a heap's line pointers are pg_amcheck's to follow."""
SEQUENCE: Final = Layout(8, (0x1717,), 8)
BY_METHOD: Final = {
    "heap": HEAP,
    "btree": Layout(16, link=4, magic=0x053162),
    "hash": Layout(16, (0xFF80,), link=4, magic=0x6440640, flags=12, plain=4 | 8, items=True),
    "gist": Layout(16, (0xFF81,), link=8, flags=12, plain=2, items=True),
    "gin": Layout(8, link=0, flags=6, plain=1 | 8, items=True),
    "spgist": Layout(8, (0xFF82,), magic=0xBA0BABEE, flags=0, plain=1, items=True),
    "brin": Layout(8, (0xF091, 0xF092, 0xF093), magic=0xA8109CFA),
    "bloom": Layout(8, (0xFF83,), magic=0xDBAC0DED),
}
"""Layouts by access method; one that is not here is not examined, and is named."""
ANY: Final = Layout(-1)


def page_problem(page: bytes, number: int, layout: Layout, pages: int, written: int) -> str | None:
    """Why page `number` of a relation with `pages` cannot be one of its pages; None for pages of zeros, and right ones.

    `written` is the WAL's position: no page was changed after it.
    """
    high, low, _checksum, flags, lower, upper, special, version = _HEADER.unpack_from(page)
    if not upper:
        return None if page == ZEROS else say("its header is zero, and the rest is not")
    known = layout is ANY or (version == _VERSION and lower >= HEADER)  # all that PostgreSQL asks of an unknown method
    if not known or flags & ~_KNOWN_FLAGS or not lower <= upper <= special <= PAGE:
        return say(
            "its header makes no sense (lower {lower}, upper {upper}, special {special}, version {version})",
            lower=lower,
            upper=upper,
            special=special,
            version=f"{version:#x}",
        )
    if (high << 32) + low > written:
        return say("it was changed at {position}, which WAL has not reached", position=f"{high:X}/{low:08X}")
    if layout is ANY:
        return None
    if PAGE - special != layout.special:
        return say(
            "its special area has {found} bytes, of this relation {expected}: a page of another one",
            found=PAGE - special,
            expected=layout.special,
        )
    return _special_problem(page, number, layout, pages, lower) or (
        _sequence_problem(page) if layout is SEQUENCE else None
    )


def _special_problem(page: bytes, number: int, layout: Layout, pages: int, lower: int) -> str | None:
    if layout.mark and (mark := int.from_bytes(page[-layout.size :], "little")) not in layout.mark:
        return say(
            "it bears the mark {mark}, of this access method {expected}: a page of another relation",
            mark=f"{mark:#x}",
            expected=f"{layout.mark[0]:#x}",
        )
    start = PAGE - layout.special
    if layout.magic is not None and not number:
        magic = int.from_bytes(page[HEADER : HEADER + 4], "little")
        if magic != layout.magic:
            return say("its magic number is {magic}, of this access method another", magic=f"{magic:#x}")
        return None
    if layout.link is not None:
        link = int.from_bytes(page[start + layout.link : start + layout.link + 4], "little")
        # Deleted pages keep there what they were deleted at.
        if link != _NO_PAGE and link >= pages and lower > HEADER and layout.mark:
            return say("it leads to page {link:,}, and there are {pages:,}", link=link, pages=pages)
    if layout.items and (bad := _misled(page, layout)):
        return say("its line pointer {number} leads outside of the page's rows", number=bad)
    return None


def _sequence_problem(page: bytes) -> str | None:
    """Why this cannot be the page of a sequence: one row of last_value, log_cnt and is_called, as `sequence.c` writes.

    Its values change in place; the row's header never does.
    """
    (pointer,) = struct.unpack_from("=I", page, HEADER)
    lower, upper = struct.unpack_from("=HH", page, 12)
    at, state, length = pointer & 0x7FFF, pointer >> 15 & 3, pointer >> 17
    if lower != HEADER + 4 or state != _NORMAL or at < upper or at + length > PAGE or length < _SEQUENCE_ROW:
        return say("it holds another number of rows than the one of a sequence, or another kind of row")
    columns, begins = page[at + 18] | (page[at + 19] & 7) << 8, page[at + 22]
    log_count, called = int.from_bytes(page[at + 32 : at + 40], sys.byteorder, signed=True), page[at + 40]
    if columns != _SEQUENCE_COLUMNS or begins != _ROW_HEADER or log_count < 0 or called > 1:
        return say(
            "its row is none of a sequence ({columns} columns from byte {begins}, log_cnt {log_count}, is_called "
            "{called})",
            columns=columns,
            begins=begins,
            log_count=log_count,
            called=called,
        )
    return None


def flags_of(page: bytes, layout: Layout) -> int:
    """Return the flags in the special area."""
    at = PAGE - layout.special + (layout.flags or 0)
    return int.from_bytes(page[at : at + 2], "little")


def items(page: bytes, layout: Layout) -> Iterator[tuple[int, int]]:
    """Yield offset and length of each item in use; none of a page that has no line pointers."""
    for pointer in _line_pointers(page, layout):
        if pointer >> 15 & 3 == _NORMAL:
            yield pointer & 0x7FFF, pointer >> 17


def _line_pointers(page: bytes, layout: Layout) -> tuple[int, ...]:
    if layout.plain and flags_of(page, layout) & layout.plain:
        return ()
    count = (int.from_bytes(page[12:14], "little") - HEADER) // 4
    return struct.unpack_from(f"={count}I", page, HEADER)


def _misled(page: bytes, layout: Layout) -> int | None:
    """Return the number of the first line pointer that leads outside of the page's rows."""
    upper, special = struct.unpack_from("=HH", page, 14)
    pointers = _line_pointers(page, layout)
    wrong = (
        nth
        for nth, pointer in enumerate(pointers, 1)
        if pointer >> 15 & 3 == _NORMAL and not (upper <= (at := pointer & 0x7FFF) and at + (pointer >> 17) <= special)
    )
    return next(wrong, None)
