"""Matrix answers: the quick reader gives what the thorough one gives, or leaves the answer to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.probes.prometheus_matrix import KnownSeries
from opsverify.probes.prometheus_values import read_series

NAMES = st.sampled_from(["__name__", "instance", "code", "path", "ü"]) | st.text(max_size=3)
VALUES = st.floats().map(str) | st.integers(0, 10**20).map(str) | st.sampled_from(["+Inf", "-Inf", "NaN", "1e-7"])
MOMENTS = st.integers(0, 10**10) | st.floats(0, 1e13)
ENTRIES = st.fixed_dictionaries(
    {
        "metric": st.dictionaries(NAMES, st.text(max_size=5), max_size=4),
        "values": st.lists(st.tuples(MOMENTS, VALUES), max_size=4),
    }
)
ANSWERS = st.lists(ENTRIES, max_size=4)
SPELLED = st.sampled_from([(",", ":"), (", ", ": "), (" ,", ": ")])


def body(entries: list[dict[str, Any]], separators: tuple[str, str] = (",", ":"), **more: object) -> bytes:
    """An answer of a range selector."""
    answer = {"status": "success", "data": {"resultType": "matrix", "result": entries}, **more}
    return json.dumps(answer, separators=separators).encode()


def shown(series: Any) -> list[tuple[dict[str, str], str, str]]:  # noqa: ANN401 - of either reader
    """What a reader found: labels, key, and points as text, for NaN is not equal to itself."""
    return [(dict(one.labels), one.key, repr(one.points)) for one in series]


@given(st.lists(st.tuples(ANSWERS, SPELLED), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_both_readers_agree(answers: list[tuple[list[dict[str, Any]], tuple[str, str]]], random: Any) -> None:  # noqa: ANN401
    """Series that come, go and change places from answer to answer are told apart by their labels alone."""
    known = KnownSeries()
    for entries, separators in [*answers, *answers]:
        random.shuffle(entries)
        raw = body(entries, separators)
        found = known.read("up", raw)
        if found is not None:
            assert shown(found) == shown(read_series(json.loads(raw)["data"]))


def test_the_same_series_are_not_made_again() -> None:
    """The next answer's keys are the very objects of the one before."""
    known = KnownSeries()
    entries: list[dict[str, Any]] = [{"metric": {"path": f"/{n}"}, "values": [[1, "2"]]} for n in range(3)]
    first = known.read("up", body(entries))
    for later in (entries, entries[::-1], entries[1:]):
        again = known.read("up", body(later))
        assert first
        assert again
        before = {one.key: one.key for one in first}
        assert all(before[one.key] is one.key for one in again)


@pytest.mark.parametrize(
    "raw",
    [
        body([{"metric": {"a": "b"}, "values": []}], warnings=["a store is away"]),
        body([{"metric": {"a": "b"}, "values": []}], isPartial=True),
        body([{"metric": {"a": "b"}, "values": []}], partialResponse=True),
        body([{"metric": {"a": "b"}, "histograms": []}]),
        body([{"metric": {"a": 1}, "values": [[1, "2"]]}]),
        body([{"metric": {"a": "b"}, "values": [[1, "two"]]}]),
        body([{"metric": {"a": "b"}, "values": [[1]]}]),
        b'{"status": "success", "data": {"resultType": "vector", "result": []}}',
        b'{"status": "error", "error": "restarting"}',
        b'{"status": "error", "data": {"resultType": "matrix", "result": []}}',
        b'{"data": {"resultType": "matrix", "result": [{"metric": {"a": "\xff"}, "values": []}]}}',
        b"<html>",
        b"",
    ],
)
def test_what_is_not_plain_is_left_to_the_thorough_reader(raw: bytes) -> None:
    """A part that may be missing, a native histogram, and whatever is malformed."""
    assert KnownSeries().read("up", raw) is None
