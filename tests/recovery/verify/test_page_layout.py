"""Layouts of pages: what no checksum says, by header, special area and line pointers."""

from __future__ import annotations

import struct

import pytest

from opsverify.recovery.verify.page_layout import ANY, BY_METHOD, HEAP, PAGE, SEQUENCE, items, page_problem

WRITTEN = 1000


def page(special: int = 0, end: bytes = b"", *, lower: int = 28, upper: int = 8000, lsn: int = 100) -> bytes:
    """A page with one row of 40 bytes, a special area, and what stands at its very end."""
    content = bytearray(PAGE)
    struct.pack_into("=IIHHHHHH", content, 0, 0, lsn, 7, 0, lower, upper, PAGE - special, PAGE | 4)
    struct.pack_into("=I", content, 24, 8000 | 1 << 15 | 40 << 17)
    content[PAGE - len(end) :] = end
    return bytes(content)


def sequence_page(*, columns: int = 3, log_cnt: int = 32, called: int = 1, length: int = 41, lower: int = 28) -> bytes:
    """The page of a sequence at 900."""
    content = bytearray(page(8, struct.pack("=Q", 0x1717), lower=lower))
    struct.pack_into("=I", content, 24, 8000 | 1 << 15 | length << 17)
    struct.pack_into("=IIIHHHHHBBqqB", content, 8000, 2, 0, 0, 0, 0, 1, columns, 0x0B00, 24, 0, 900, log_cnt, called)
    return bytes(content)


HASH = page(16, struct.pack("=IIIHH", 0xFFFFFFFF, 0xFFFFFFFF, 1, 2, 0xFF80))
GIST = page(16, struct.pack("=QIHH", 0, 0xFFFFFFFF, 1, 0xFF81))
SPGIST = page(8, struct.pack("=HHHH", 4, 0, 0, 0xFF82))
BRIN = page(8, struct.pack("=HHHH", 0, 0, 0, 0xF093))


def problem(content: bytes, method: str) -> str:
    """Why the page cannot be the fourth of five of an index, or heap; '' where it can."""
    return page_problem(content, 3, BY_METHOD[method], 5, WRITTEN) or ""


@pytest.mark.parametrize(
    ("content", "method"), [(page(), "heap"), (HASH, "hash"), (GIST, "gist"), (SPGIST, "spgist"), (BRIN, "brin")]
)
def test_a_page_is_known_as_its_own_and_no_others(content: bytes, method: str) -> None:
    """A page of any other access method has another special area, or another mark."""
    assert problem(content, method) == ""
    assert page_problem(content, 3, ANY, 5, WRITTEN) is None
    others = {other for other in ("heap", "hash", "gist", "spgist", "brin", "bloom") if other != method}
    assert {other for other in others if "another" in problem(content, other)} == others


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (page(lower=8100), "makes no sense"),
        (page(upper=20), "makes no sense"),
        (page(lsn=1001), "WAL has not reached"),
        (bytes(24) + b"x" + bytes(PAGE - 25), "the rest is not"),
    ],
)
def test_a_header_that_makes_no_sense_is_named(content: bytes, said: str) -> None:
    """Of any relation, also of an access method that is not known."""
    assert said in problem(content, "heap")
    assert said in (page_problem(content, 3, ANY, 5, WRITTEN) or "")


def test_pages_of_zeros_are_judged_elsewhere() -> None:
    """PostgreSQL extends files by them."""
    assert problem(bytes(PAGE), "heap") == problem(bytes(PAGE), "hash") == ""


def test_line_pointers_lead_to_the_rows_of_their_page() -> None:
    """Of access methods that pg_amcheck does not follow; a heap's are pg_amcheck's."""
    assert list(items(GIST, BY_METHOD["gist"])) == [(8000, 40)]
    bad = bytearray(GIST)
    struct.pack_into("=I", bad, 24, 8000 | 1 << 15 | 400 << 17)
    assert "line pointer 1" in problem(bytes(bad), "gist")


def test_a_sequence_and_a_heap_are_told_apart() -> None:
    """By the sequence's mark."""
    sequence = sequence_page()
    assert page_problem(sequence, 0, SEQUENCE, 1, WRITTEN) is None
    assert "special area" in (page_problem(sequence, 0, HEAP, 1, WRITTEN) or "")
    assert "special area" in (page_problem(page(), 0, SEQUENCE, 1, WRITTEN) or "")


@pytest.mark.parametrize(
    "changed", [{"columns": 28}, {"log_cnt": -1}, {"called": 7}, {"length": 40}, {"lower": 32}], ids=str
)
def test_a_row_that_is_none_of_a_sequence_is_named(changed: dict[str, int]) -> None:
    """Number of rows, columns and their values are as `sequence.c` writes them, whatever the checksum says."""
    assert page_problem(sequence_page(), 0, SEQUENCE, 1, WRITTEN) is None
    assert page_problem(sequence_page(**changed), 0, SEQUENCE, 1, WRITTEN) is not None
