"""The list of a suite's checks: what is written is read back, and what a plan lacks is named."""

from __future__ import annotations

from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.core.pinned import PinnedCheck, dumps, loads, missing, unpinned

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
IDS = st.text(ascii_lowercase + "._[]- ", min_size=1, max_size=12)
PINS = st.builds(
    PinnedCheck,
    id=IDS,
    test=IDS.map("file.py::{}".format),
    stages=st.lists(TEXTS, max_size=3).map(tuple),
    lines=st.lists(TEXTS, max_size=3).map(tuple),
    severity=TEXTS,
    ko=TEXTS,
    en=TEXTS,
)


def pin(check_id: str, *stages: str) -> PinnedCheck:
    """A pinned check of these stages."""
    return PinnedCheck(check_id, "test_x.py::test_x", stages or ("daily",), ("1-daily/llm",), "sev2", "점검", "A check")


@given(st.lists(PINS, max_size=4, unique_by=lambda each: each.id))
def test_what_is_written_is_read_back(pins: list[PinnedCheck]) -> None:
    """Any titles and names survive the file, in the order of their ids."""
    assert loads(dumps(pins)) == tuple(sorted(pins, key=lambda each: each.id))


def test_a_function_whose_rows_bring_the_ids_is_pinned_as_one() -> None:
    """It has no stage, and is never missing from a plan by its id."""
    function = PinnedCheck("test_x.py::test_x", "test_x.py::test_x")
    (read,) = loads(dumps([function]))
    assert read == function
    assert read.function_only
    assert list(missing([read], "daily", ())) == []


@pytest.mark.parametrize(
    ("check_id", "ids", "lost"),
    [
        ("a.b", ("a.b",), False),
        ("a.b", ("a.b[row]",), False),
        ("a.b", ("a.bc",), True),
        ("a.b", (), True),
        ("a.b[x]", ("a.b[x]",), False),
        ("a.b[x]", ("a.b[y]", "a.b"), True),
    ],
)
def test_a_plan_that_lacks_a_check(check_id: str, ids: tuple[str, ...], *, lost: bool) -> None:
    """A check is there by its id or by its rows, a pinned row by its own id only."""
    pinned = pin(check_id)
    assert list(missing([pinned], "daily", ids)) == ([pinned] if lost else [])
    assert list(missing([pinned], "weekly", ids)) == []


def test_checks_that_no_list_names() -> None:
    """Rows of a pinned family are named; others are not."""
    assert unpinned([pin("a.b")], ["a.b[1]", "a.b", "a.c", "a.bc[1]"]) == ("a.c", "a.bc[1]")


@pytest.mark.parametrize("text", ["nonsense", "['a']\ntest = 'x'\n", "a = 1\n", "[a]\n[a]\n"])
def test_what_is_no_list(text: str) -> None:
    """A damaged list is an error, not an empty one."""
    with pytest.raises(ValueError, match=r"."):
        loads(text)
