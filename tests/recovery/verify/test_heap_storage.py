"""A heap's files read without a server: pages of zeros and the visibility map, over files and pages of the map."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from opsverify.recovery.verify.heap_storage import PAGE, Heap
from opsverify.recovery.verify.loss import page_list, stretches

if TYPE_CHECKING:
    from pathlib import Path

USED = bytes([0, 0, 0, 0]) + struct.pack("=I", 100) + bytes(56) + b"x" * (PAGE - 64)
"""A page in use, written when the WAL was at 100."""


def _map(*marked: int) -> bytes:
    """Make a page of a visibility map: bytes behind the header, of 4 heap pages each."""
    content = bytearray(PAGE)
    for page in marked:
        content[24 + page // 4] |= 1 << 2 * (page % 4)
    return bytes(content)


def test_pages_are_numbered_through_all_files(tmp_path: Path) -> None:
    """The second file goes on where the first one ended, and a page torn off counts as one."""
    heap = Heap(tmp_path / "16384")
    heap.first.write_bytes(USED + bytes(PAGE))
    (tmp_path / "16384.1").write_bytes(bytes(PAGE) + USED + bytes(100))
    assert (heap.size, list(heap.zero_pages())) == (5, [1, 2, 4])
    assert heap.used([1, 2, 4]) == 4
    assert (heap.last_untouched(99), heap.last_untouched(100)) == (-1, 3)


def test_the_visibility_map_goes_on_behind_its_first_page(tmp_path: Path) -> None:
    """8,168 bytes of 4 pages each are one page of it; all-frozen bits are no sign by themselves."""
    heap = Heap(tmp_path / "16384")
    assert (heap.size_by_map, heap.known_visible([0])) == (0, [])
    (tmp_path / "16384_vm").write_bytes(_map(0, 32671) + _map(2))
    assert heap.known_visible([0, 1, 32671, 32672, 32674, 99999]) == [0, 32671, 32674]
    assert heap.size_by_map == 32675
    (tmp_path / "16384_vm").write_bytes(bytes(PAGE))
    assert heap.size_by_map == 0


def test_pages_are_named_as_stretches() -> None:
    """Few words for many pages, and none of them uncounted."""
    assert page_list([3]) == "page 3"
    assert page_list([3, 7, 8, 9]) == "pages 3, 7-9"
    assert stretches([1, 3, 5, 7, 9, 11, 12]) == "1, 3, 5, 7, 9 and 2 more"
