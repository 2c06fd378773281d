"""Store: what was recorded comes back, durably, privately, from any process and any version."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sqlite3
import stat
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.errors import EvidenceError, Inconclusive
from opsverify.history import store as store_module
from opsverify.history.compare import NotComparable, Pair
from opsverify.history.run_history import RunHistory
from opsverify.history.snapshot import Origin, Snapshot
from opsverify.history.store import HistoryStore
from opsverify.limits import Limit

DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)
DAY_S = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    """An empty one, in a folder that is not there yet."""
    return HistoryStore(tmp_path / "state" / "history.sqlite")


def snapshot(days_ago: float, rows: dict[str, Any] | None = None, **changes: Any) -> Snapshot:  # noqa: ANN401 - fields
    """One of redis, as of so many days ago."""
    whole = Snapshot("redis", NOW - days_ago * DAY, Origin({"id": "1"}), rows or {"server": {"hits": 7}})
    return replace(whole, **changes)


def test_a_snapshot_comes_back_as_it_was(store: HistoryStore) -> None:
    """Integers of 64 bits, fractions, texts and nothing are kept; decimals and times become numbers and texts."""
    rows = {"key/한글": {"big": 2**63 - 1, "ms": 0.1, "text": "값", "none": None, "yes": True, "sum": Decimal("12.5")}}
    origin = Origin({"cluster": "77"}, {"stats_reset": "never"}, 5)
    kept = store.record(snapshot(0, {**rows, "t": {"at": NOW}}, origin=origin, coverage=0.9, run_id="r"))
    (found,) = store.snapshots("redis")
    assert found == kept
    assert found.rows["key/한글"] == {"big": 2**63 - 1, "ms": 0.1, "text": "값", "none": None, "yes": 1, "sum": 12.5}
    assert found.rows["t"] == {"at": NOW.isoformat()}
    assert (found.origin, found.coverage, found.run_id, found.taken_at) == (origin, 0.9, "r", NOW)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"x", [1]])
def test_what_would_not_come_back_is_refused(value: object) -> None:
    """A value that JSON would change is a mistake of the program."""
    with pytest.raises(ValueError, match="cannot hold"):
        snapshot(0, {"k": {"v": value}})
    with pytest.raises(ValueError, match="no time zone"):
        Snapshot("redis", NOW.replace(tzinfo=None), Origin({}), {})


def test_the_file_is_private_and_simple(store: HistoryStore) -> None:
    """Nobody else reads it, and it is one file: no write-ahead log lies beside it."""
    before = os.umask(0)
    try:
        store.record(snapshot(0))
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert {path.name for path in store.path.parent.iterdir()} <= {"history.sqlite", "history.lock"}


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="no sqlite3 program")
def test_sqlite3_reads_it(store: HistoryStore) -> None:
    """A person reads the history with the usual program."""
    store.record(snapshot(0))
    query = "SELECT json_extract(body, '$.hits') FROM snapshot JOIN row ON snapshot = id WHERE subject = 'redis'"
    done = subprocess.run(["sqlite3", str(store.path), query], capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"


def test_reading_changes_nothing(store: HistoryStore) -> None:
    """A history that is not there stays so."""
    assert store.snapshots("redis") == ()
    assert store.subjects() == ()
    assert not store.path.parent.exists()


def test_many_writers_one_after_the_other(store: HistoryStore) -> None:
    """Workers that record at the same moment, also into a new file, lose nothing."""
    with ThreadPoolExecutor(8) as pool:
        numbers = {one.number for one in pool.map(lambda n: store.record(snapshot(n)), range(16))}
    assert numbers == set(range(1, 17))
    assert len(store.snapshots("redis")) == 16


def test_what_was_to_be_kept_until_now_goes(store: HistoryStore) -> None:
    """Large subjects are kept for a while, inventories for ever."""
    store.record(snapshot(50, keep_days=40))
    store.record(snapshot(30, keep_days=40))
    store.record(snapshot(900))
    store.record(snapshot(0))
    ages = [round((NOW - one.taken_at) / DAY) for one in store.snapshots("redis")]
    assert ages == [900, 30, 0]
    with closing(sqlite3.connect(store.path)) as database, database:
        assert database.execute("SELECT count(*) FROM row").fetchone() == (3,)


def test_a_snapshot_deleted_by_hand_hinders_nothing(store: HistoryStore) -> None:
    """`sqlite3` leaves the rows of what it deletes; the next snapshot gets the same number, and its own rows."""
    store.record(snapshot(1))
    with closing(sqlite3.connect(store.path)) as database, database:
        database.execute("DELETE FROM snapshot")
    store.record(snapshot(0, {"server": {"hits": 8}}))
    assert [one.rows for one in store.snapshots("redis")] == [{"server": {"hits": 8}}]


def test_a_writer_that_fails_leaves_nothing(store: HistoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot is there with all its rows, or not at all."""
    store.record(snapshot(1))

    def broken(_: object) -> str:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store_module, "_json", broken)
        with pytest.raises(EvidenceError, match=r"cannot be used \(database or disk is full\); free the disk"):
            store.record(snapshot(0))
    assert len(store.snapshots("redis")) == 1


def test_a_damaged_file_is_named(store: HistoryStore) -> None:
    """Nothing is read from it, and nothing written over it."""
    store.path.parent.mkdir()
    store.path.write_bytes(b"not a database, but long enough to look like one" * 50)
    for use in (lambda: store.record(snapshot(0)), lambda: store.snapshots("redis")):
        with pytest.raises(EvidenceError, match=r"history\.sqlite: the history cannot be used .*move the file away"):
            use()
    with pytest.raises(Inconclusive, match="history: "):
        RunHistory(store, "r", Limit(">=", 0, "s")).record(snapshot(0))


def test_a_newer_file_is_not_touched(store: HistoryStore) -> None:
    """A file of a later version is refused by name, for reading and for writing."""
    store.record(snapshot(0))
    with closing(sqlite3.connect(store.path)) as database, database:
        database.execute("PRAGMA user_version = 99")
    for use in (lambda: store.record(snapshot(0)), lambda: store.snapshots("redis")):
        with pytest.raises(EvidenceError, match=r"version 99 of a newer opsverify"):
            use()


def test_an_older_file_is_read_and_brought_up_to_date(store: HistoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is run once, by the first writer; a reader sees the newest form before that and writes nothing."""
    store.record(snapshot(1))
    monkeypatch.setattr(
        store_module, "STEPS", (*store_module.STEPS, "ALTER TABLE snapshot ADD COLUMN note TEXT DEFAULT 'added';")
    )
    content = store.path.read_bytes()
    assert len(store.snapshots("redis")) == 1
    assert store.path.read_bytes() == content
    store.record(snapshot(0))
    with closing(sqlite3.connect(store.path)) as database, database:
        assert database.execute("SELECT DISTINCT note FROM snapshot").fetchall() == [("added",)]
        assert database.execute("PRAGMA user_version").fetchone() == (2,)


def test_the_pair_nearest_to_the_span_is_compared(store: HistoryStore) -> None:
    """Of daily snapshots that of a week ago is taken, not the oldest and not the newest."""
    for days in (30, 9, 7.2, 6, 1, 0.1):
        store.record(snapshot(days, {"server": {"hits": round(100 - days)}}))
    now = store.record(snapshot(0, {"server": {"hits": 100}}))
    pair = store.before(now, at_least_s=DAY_S, span_s=7 * DAY_S)
    assert isinstance(pair, Pair)
    assert pair.span_s == pytest.approx(7.2 * DAY_S)
    assert pair.growth("server", "hits") == {"hits": 7}


def test_a_reset_within_the_week_shortens_the_span(store: HistoryStore) -> None:
    """After a reset, the first snapshot behind it is the baseline: the span is told, no number crosses the reset."""
    old, new = Origin({"id": "1"}, {"reset": "a"}), Origin({"id": "1"}, {"reset": "b"})
    store.record(snapshot(7, {"server": {"hits": 900}}, origin=old))
    store.record(snapshot(3, {"server": {"hits": 10}}, origin=new))
    now = store.record(snapshot(0, {"server": {"hits": 40}}, origin=new))
    pair = store.before(now, at_least_s=DAY_S, span_s=7 * DAY_S)
    assert isinstance(pair, Pair)
    assert (pair.growth("server", "hits"), round(pair.span_s / DAY_S)) == ({"hits": 30}, 3)


@pytest.mark.parametrize(
    ("earlier", "told"),
    [
        ([], "none: no earlier snapshot"),
        ([snapshot(7, origin=Origin({"id": "2"}))], "other: id was 2, now 1"),
        ([snapshot(7, origin=Origin({"id": "2"})), snapshot(0.5)], "young: the earliest comparable snapshot is 12h"),
        ([snapshot(-2)], "clock: the earlier snapshot is dated"),
    ],
)
def test_without_a_pair_there_is_a_reason(store: HistoryStore, earlier: list[Snapshot], told: str) -> None:
    """What makes a comparison possible is told in a check's message."""
    for one in earlier:
        store.record(one)
    now = store.record(snapshot(0))
    found = store.before(now, at_least_s=DAY_S, span_s=7 * DAY_S)
    assert isinstance(found, NotComparable)
    assert f"{found.kind}: {found.reason}".startswith(told)


def test_a_check_gets_the_pair_or_the_reason(store: HistoryStore) -> None:
    """The first run is inconclusive and is the baseline, the second compares."""
    history = RunHistory(store, "run-1", Limit(">=", DAY_S, "s"))
    with pytest.raises(Inconclusive, match=r"redis: not comparable: no earlier snapshot; the baseline begins now"):
        history.compare(snapshot(2))
    with pytest.raises(Inconclusive, match=r"redis: not comparable yet: .* 12h 00m old, 1d needed; run again later"):
        history.compare(snapshot(1.5))
    pair = history.compare(snapshot(0))
    assert (pair.earlier.run_id, pair.later.run_id, round(pair.span_s / DAY_S, 1)) == ("run-1", "run-1", 2.0)
    assert len(history.series("redis", NOW - 1.9 * DAY)) == 2


def test_the_time_to_wait_is_the_one_that_is_needed(store: HistoryStore) -> None:
    """From day to day six hours are enough: what the first run announces is what the next one asks for."""
    history = RunHistory(store, "run-1", Limit(">=", DAY_S, "s"), span_s=DAY_S)
    with pytest.raises(Inconclusive, match=r"compare again in 6h$"):
        history.compare(snapshot(2))
    with pytest.raises(Inconclusive, match=r"1h 12m old, 6h needed"):
        history.compare(snapshot(1.95))


@given(st.lists(st.tuples(st.floats(0.01, 60), st.sampled_from("ab")), max_size=12), st.floats(0, 10))
def test_a_pair_is_never_of_two_beginnings(days: list[tuple[float, str]], at_least_days: float) -> None:
    """Whatever was recorded in whatever order, what is compared has one origin, and at least the distance between."""
    with tempfile.TemporaryDirectory() as folder:
        store = HistoryStore(Path(folder) / "h.sqlite")
        for ago, reset in days:
            store.record(snapshot(ago, origin=Origin({"id": "1"}, {"reset": reset})))
        now = store.record(snapshot(0, origin=Origin({"id": "1"}, {"reset": "a"})))
        found = store.before(now, at_least_s=at_least_days * DAY_S, span_s=7 * DAY_S)
    usable = [ago for ago, reset in days if reset == "a" and ago * DAY_S > at_least_days * DAY_S + 1]
    if isinstance(found, Pair):
        assert found.earlier.origin == found.later.origin
        assert found.span_s >= at_least_days * DAY_S
    else:
        assert not usable
