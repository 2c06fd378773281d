"""Rows of closed buckets that were written since they were recorded: which are a note, on a real server."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from opsverify.recovery.ledger import probe
from opsverify.recovery.ledger.open_rows import before_sql
from opsverify.recovery.ledger.pace import Pace
from tests.support.ledgers import again, history, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.clones import Clone

FLUSH = "SELECT pg_stat_force_next_flush()"
HOUR = dt.timedelta(hours=1)
OTHERS = ("events", "lines", "totals", "readings", "plain")
PEOPLE = (
    "CREATE TABLE t (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text, born date NOT NULL)",
    "INSERT INTO t (name, born) SELECT n, date '1950-01-01' + n % 2000 FROM generate_series(1, 3000) n",
    "DELETE FROM t WHERE born BETWEEN '1951-09-01' AND '1953-01-01'",
    "SELECT pg_stat_force_next_flush()",
    "SELECT pg_stat_reset()",
)
"""In no order of their dates, of which some in the middle have no row; the statistics know of no delete."""
NEW = "INSERT INTO t (name, born) VALUES ('new', '1951-01-01'), ('new', '1952-05-05')"
BACK = "INSERT INTO t (name, born) VALUES ('gone', '1952-05-05')"
UPDATED = "UPDATE t SET name = 'u' WHERE name = '365'"
TWICE = "INSERT INTO t (name, born) SELECT name, born FROM t WHERE name = 'u'"


def taken(clone: Clone, previous: Mapping[str, Any] | None = None, ago: dt.timedelta = dt.timedelta(0)) -> Any:  # noqa: ANN401 - JSON
    """One record of the table `t`, when the statistics know what was done to it."""
    clone.run(FLUSH)
    return record(clone, previous, chosen={}, ago=ago, left_out=OTHERS)


@contextmanager
def dumped(clone: Clone, *before: str) -> Iterator[Clone]:
    """A new database of the same cluster, restored from a dump taken when `before` was carried out; undone then."""
    other, home, port = f"{clone.name}_again", clone.server.socket_dir, clone.server.port
    where = ("-h", str(home), "-p", str(port), "-U", "postgres")
    dump = clone.data.parent / f"{other}.dump"
    clone.run(*before, f"CREATE DATABASE {other}")
    clone.server.tools.succeed("pg_dump", *where, "-Fc", "-f", dump, clone.name, account=clone.server.account)
    clone.server.tools.succeed("pg_restore", *where, "-d", other, dump, account=clone.server.account)
    with psycopg.connect(f"host={home} port={port} user=postgres dbname={other}", autocommit=True) as session:
        yield replace(clone, name=other, session=session)
    clone.run(f"DROP DATABASE {other}")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (("DELETE FROM t WHERE name = '365'", "INSERT INTO t (name, born) VALUES ('other', '1951-01-01')"), "changed"),
        ((UPDATED,), "rows changed (still 2)"),
        ((UPDATED, TWICE), "1 rows added to 2"),
        (("UPDATE t SET born = '1952-05-05' WHERE name = '365'",), "1 of 2 rows missing"),
        (("CREATE TABLE k AS TABLE t", "TRUNCATE t", "INSERT INTO t SELECT * FROM k", BACK), "1 rows added to 0"),
    ],
)  # fmt: skip
def test_what_was_not_only_added_is_a_problem(clone: Clone, damage: tuple[str, ...], said: str) -> None:
    """Written again with other content, updated where nothing is, moved, or loaded anew so that every row is new."""
    clone.run(*PEOPLE)
    recorded = history(taken(clone))
    clone.run(*damage)
    answer = again(recorded, "t", clone)
    assert said in answer.problems[0]


def test_what_was_updated_and_added_holds_where_production_updates(clone: Clone) -> None:
    """Which of the rows were changed is not known."""
    clone.run(*PEOPLE)
    first = taken(clone, ago=2 * HOUR)
    clone.run("UPDATE t SET name = 'nine' WHERE name = '9'")
    recorded = history(first, taken(clone, first, ago=HOUR))
    clone.run(UPDATED, TWICE)
    assert "rows were added and changed since" in str(again(recorded, "t", clone).unknown)


@pytest.mark.parametrize("late", [True, False])
def test_no_more_rows_are_late_than_were_seen_to_be(
    clone: Clone,
    monkeypatch: pytest.MonkeyPatch,
    late: bool,  # noqa: FBT001
) -> None:
    """One capture allows for few. Where a second one found late rows, a few more are a note; where none, none are."""
    monkeypatch.setattr(probe, "ROWS", 1)  # where the probe itself sees late rows, the table is taken to have no order
    clone.run(*PEOPLE)
    first = taken(clone, ago=3 * HOUR)
    quiet = taken(clone, first, ago=2 * HOUR)  # nothing was inserted: nothing is learned
    clone.run(NEW if late else "INSERT INTO t (name, born) VALUES ('young', current_date)")
    third = taken(clone, quiet, ago=HOUR)
    assert third["core"]["t"]["late"] == (2 if late else 0)
    clone.run(NEW.replace("new", "newer"))
    once = again(history(first, quiet), "t", clone)
    assert (once.problems, once.unknown) == ((), None)
    answer = again(history(first, quiet, third), "t", clone)
    assert answer.problems == ()
    if late:
        assert answer.unknown is None
        assert "t: 2 rows written into closed buckets since they were recorded" in answer.notes
    else:
        assert "2 rows written into closed buckets since they were recorded; by what" in str(answer.unknown)
        assert "no more than 0 in that time" in str(answer.unknown)


def test_rows_that_are_all_there_twice_hold(clone: Clone) -> None:
    """Each was written after the capture, and under a new key: no key finds them. Beside a loss they are a problem."""
    clone.run(*PEOPLE)
    recorded = history(taken(clone))
    clone.run("INSERT INTO t (name, born) SELECT name, born FROM t")
    answer = again(recorded, "t", clone)
    assert answer.problems == ()
    assert "written twice, or a change unlike any before" in str(answer.unknown)
    clone.run("DELETE FROM t WHERE name = '365'")
    answer = again(recorded, "t", clone)
    assert "rows changed" in str(answer.problems)
    assert "2 rows added to 2 recorded" in str(answer.problems) or "1 rows added to 1" in str(answer.problems)


@pytest.mark.since(18)  # pg_dump
def test_rows_of_a_dump_have_new_transactions_all_of_them(clone: Clone) -> None:
    """Restored into the same cluster: rows that were deleted before the capture are not written since."""
    clone.run(*PEOPLE)
    with dumped(clone, BACK) as restored:
        clone.run("DELETE FROM t WHERE name = 'gone'", "SELECT pg_stat_reset()")
        recorded = history(taken(clone))
        assert recorded.tables["t"].table.bucket == "born"
        assert "t 1952-05-05: 1 rows added to 0 recorded" in again(recorded, "t", restored).problems


@pytest.mark.since(18)  # pg_dump
def test_a_later_dump_is_compared_as_one_of_another_cluster(clone: Clone) -> None:
    """Restored into the same cluster, with a row more than recorded: no row is lost, though none is older."""
    clone.run("INSERT INTO events (created_at, line, qty) SELECT now(), 'L01', n FROM generate_series(1, 30) n", FLUSH)
    recorded = history(record(clone, chosen={}))
    with dumped(clone, "INSERT INTO events (created_at, line, qty) VALUES (now(), 'L01', 5)") as restored:
        answer = again(recorded, "events", restored)
        assert (answer.problems, answer.unknown) == ((), None)
        assert "events: 30 rows recorded, 31 found: written since, as production does" in answer.notes
        restored.run("DELETE FROM events WHERE qty < 4 AND code IS NULL")
        assert "rows missing; production never deletes" in str(again(recorded, "events", restored).problems)


def test_a_row_frozen_long_ago_is_older_than_the_record(clone: Clone) -> None:
    """Its age is below zero when two thousand million transactions came after it."""
    ((now, snapshot),) = clone.source("SELECT pg_current_xact_id()::text::int8, pg_current_snapshot()::text", {})
    for ago, older in {1: False, -1: False, 100: True, (1 << 31) - 100: True, (1 << 31) + 100: True}.items():
        written = f"SELECT '{(now - ago + (1 << 32)) % (1 << 32)}'::xid AS xmin"
        begun = f"{now - 5}:{now - 5}:"
        ((found,),) = clone.source(f"SELECT {before_sql(begun)} FROM ({written}) t", {})  # noqa: S608
        assert found is older, (ago, snapshot)


def test_a_pace_of_late_rows_is_learned_when_one_looks() -> None:
    """Until then no more than 1 in 20 rows, nor than were ever inserted, but for the few that are always explained."""
    first = Pace().with_inserted(100_000, HOUR)
    assert first.late_bound(HOUR, 10_000) == 500
    assert first.late_bound(HOUR, 100) == 5
    assert Pace().with_inserted(100, HOUR).late_bound(HOUR, 10_000) == 200
    assert Pace().with_inserted(0, HOUR).late_bound(HOUR, 10_000) == 20
    assert first.with_late(0, HOUR).late_bound(HOUR, 10_000) == 0
    assert first.with_late(30, HOUR).with_late(0, HOUR).late_bound(HOUR, 10_000) == 60


_PLANTS = (
    "CREATE TABLE t (id int PRIMARY KEY, name text)",
    "INSERT INTO t SELECT n, 'plant ' || n FROM generate_series(1, 300) n",
)
_RELOADED = ("CREATE TABLE k AS TABLE t", "TRUNCATE t", "INSERT INTO t SELECT * FROM k", "DROP TABLE k")
_ADDED = "INSERT INTO t VALUES (301, 'new')"


@pytest.mark.parametrize(
    "change",
    [(*_RELOADED, _ADDED), ("ALTER TABLE t ALTER id TYPE int USING id + 0", _ADDED)],
    ids=["truncated", "rewritten"],
)
def test_a_table_that_was_loaded_anew_with_more_is_no_loss(clone: Clone, change: tuple[str, ...]) -> None:
    """Its rows are the recorded ones, but for one more: the transactions that wrote them say nothing any more."""
    clone.run(*_PLANTS)
    recorded = history(taken(clone))
    clone.run(*change)
    answer = again(recorded, "t", clone)
    assert (answer.problems, answer.unknown) == ((), None)
    assert "t: 300 rows recorded, 301 found: written since, as production does" in answer.notes


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ((*_RELOADED, "DELETE FROM t WHERE id <= 2", _ADDED), "1 of 300 rows missing"),
        ((*_RELOADED, "UPDATE t SET name = 'x' WHERE id = 7"), "rows changed"),
        ((*_RELOADED, "UPDATE t SET name = 'x' WHERE id < 90", _ADDED), ""),
        # Not loaded anew: the file is the recorded one, and its rows are gone.
        (("DELETE FROM t WHERE id <= 300", "INSERT INTO t SELECT n, 'y' FROM generate_series(1, 2000) n"), "missing"),
    ],
    ids=["fewer", "changed", "many-changed", "same-file"],
)
def test_what_is_missing_of_a_table_that_was_loaded_anew_shows(
    clone: Clone, change: tuple[str, ...], problem: str
) -> None:
    """As in a logical restore: fewer rows and changed ones fail, more changed than were added hold."""
    clone.run(*_PLANTS)
    recorded = history(taken(clone))
    clone.run(*change)
    answer = again(recorded, "t", clone)
    assert any(problem in line for line in answer.problems) if problem else answer.unknown
