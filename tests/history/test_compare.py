"""Comparison: only the same source, counted from the same beginning, has a growth, and none is ever negative."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.history.compare import NotComparable, Pair, compare
from opsverify.history.snapshot import Origin, Snapshot

WEEK = dt.timedelta(days=7)
NOW = dt.datetime(2026, 11, 28, 12, 0, tzinfo=dt.UTC)
ORIGIN = Origin({"system_identifier": "77", "server version": "18"}, {"stats_reset": "2026-01-01"}, 3)
COUNTS = st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.integers(0, 10**12)), max_size=6)


def snapshot(rows: dict[str, Any] | None = None, at: dt.datetime = NOW, origin: Origin = ORIGIN) -> Snapshot:
    """One of statements."""
    return Snapshot("postgres.statements", at, origin, rows or {})


def compared(earlier: Snapshot, later: Snapshot, at_least_s: float = 0) -> str:
    """Kind and reason of what is not comparable."""
    found = compare(earlier, later, at_least_s=at_least_s)
    assert isinstance(found, NotComparable)
    return f"{found.kind}: {found.reason}"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"same": {"system_identifier": "78", "server version": "18"}}, "other: system_identifier was 78, now 77"),
        ({"same": {"system_identifier": "77", "server version": "17"}}, "other: server version was 17, now 18"),
        ({"same": {"system_identifier": "77"}}, "other: server version was unknown, now 18"),
        ({"began": {"stats_reset": "never"}}, "reset: counting began again: stats_reset was never, now 2026-01-01"),
        ({"began": {}}, "reset: counting began again: stats_reset was unknown, now 2026-01-01"),
        ({"lost": 4}, "reset: counting began again: dropped entries were 4, now 3"),
    ],
)
def test_another_source_or_beginning_is_named(change: dict[str, Any], told: str) -> None:
    """Another cluster, another version, an older reset: no pair, and the mark with both values."""
    assert compared(snapshot(at=NOW - WEEK, origin=replace(ORIGIN, **change)), snapshot()) == told


def test_time_has_to_lie_between_two_snapshots() -> None:
    """A clock that was set, and a snapshot of a minute ago, are no week."""
    assert compared(snapshot(at=NOW), snapshot()).startswith("clock: ")
    assert compared(snapshot(at=NOW + WEEK), snapshot()).startswith("clock: ")
    minute = NOW - dt.timedelta(minutes=1)
    assert compared(snapshot(at=minute), snapshot(), 86400) == (
        "young: the earliest comparable snapshot is 1m 00s old, 1d needed"
    )


def test_subjects_are_not_mixed() -> None:
    """To compare two subjects is a mistake of the program."""
    with pytest.raises(ValueError, match="is not compared with"):
        compare(replace(snapshot(), subject="redis"), snapshot())


def test_a_key_that_was_counted_anew_has_no_growth() -> None:
    """One counter of a key fell: none of that key's growths is known, those of others are."""
    earlier = snapshot({"a": {"calls": 5, "ms": 9.0}, "b": {"calls": 5, "ms": 9.0}, "gone": {"calls": 1}}, NOW - WEEK)
    later = snapshot({"a": {"calls": 7, "ms": 8.0}, "b": {"calls": 7, "ms": 9.5}, "new": {"calls": 2, "ms": 1.0}})
    pair = compare(earlier, later)
    assert isinstance(pair, Pair)
    assert dict(pair.growths("calls", "ms")) == {"b": {"calls": 2, "ms": 0.5}, "new": {"calls": 2, "ms": 1.0}}
    assert (pair.anew("calls", "ms"), pair.gone, pair.appeared) == (("a",), ("gone",), ("new",))
    assert pair.span_s == WEEK.total_seconds()


def test_entries_that_the_source_dropped_are_counted() -> None:
    """Evictions make no other source, but they are told."""
    pair = compare(snapshot(at=NOW - WEEK), snapshot(origin=replace(ORIGIN, lost=20)))
    assert isinstance(pair, Pair)
    assert pair.lost == 17


@given(COUNTS, COUNTS, st.integers(0, 5), st.integers(0, 5))
def test_no_growth_is_negative(before: dict[str, Any], now: dict[str, Any], lost: int, lost_now: int) -> None:
    """Whatever two snapshots hold, a growth is a number of zero or more, or there is none."""
    earlier = snapshot({k: {"n": v} for k, v in before.items()}, NOW - WEEK, replace(ORIGIN, lost=lost))
    later = snapshot({k: {"n": v} for k, v in now.items()}, origin=replace(ORIGIN, lost=lost_now))
    pair = compare(earlier, later)
    if isinstance(pair, NotComparable):
        assert lost_now < lost
        return
    known = dict(pair.growths("n"))
    assert all(grown["n"] >= 0 for grown in known.values())
    assert known.keys() | set(pair.anew("n")) == now.keys()
    assert pair.lost >= 0


@given(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy")),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy")),
)
def test_a_pair_has_one_origin(same: dict[str, str], other: dict[str, str]) -> None:
    """There is a pair exactly where every mark is equal."""
    found = compare(snapshot(at=NOW - WEEK, origin=Origin(same, other)), snapshot(origin=Origin(other, same)))
    assert isinstance(found, Pair) == (same == other)
