"""Daily reviews of the database: sessions, slots, ages, archiving, against a real server."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.errors import Inconclusive
from opsverify.history.snapshot import Origin, Snapshot
from opsverify.periodic import transaction_age
from opsverify.periodic.sessions import DbSession, chains, longest_idle, longest_open, sessions
from opsverify.periodic.slots import slots
from opsverify.periodic.transaction_age import DatabaseAge, age_snapshot, ages, comes_down, holders
from tests.support.primary import PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.probes.postgres import Postgres
    from tests.periodic.conftest import Reviewed

CYCLE = 200_000_000
DAY = dt.timedelta(days=1)
NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)


@pytest.fixture
def client(reviewed: Reviewed) -> Iterator[Any]:
    """Opens sessions of the superuser, which end with the test."""
    opened: list[psycopg.Connection[Any]] = []

    def connect() -> psycopg.Connection[Any]:
        opened.append(psycopg.connect(host=str(reviewed.home), port=PORT, user="postgres", dbname="postgres"))
        return opened[-1]

    yield connect
    pids = ", ".join(str(connection.info.backend_pid) for connection in opened)
    for connection in opened:
        connection.close()
    # The server ends a session some time after its client: until then it is one of those that a test sees.
    gone = f"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY ('{{{pids}}}'))"  # noqa: S608 - numbers
    reviewed.server.wait_for(gone, "t", within_s=60, what="the end of the sessions")


def test_a_chain_is_told_by_its_root(reviewed: Reviewed, postgres: Postgres, client: Any) -> None:  # noqa: ANN401
    """Two sessions wait one behind the other: the idle one at the root is named, with how long the first one waits."""
    root, middle, last = client(), client(), client()
    root.execute("SELECT pg_advisory_lock(1)")
    middle.execute("SELECT pg_advisory_lock(2)")
    for connection, lock in ((middle, 1), (last, 2)):
        connection.pgconn.send_query(f"SELECT pg_advisory_lock({lock})".encode())  # sent, and not waited for
    reviewed.server.wait_for(
        "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "t", within_s=60, what="two waits"
    )
    known = sessions(postgres)
    (chain,) = chains(known)
    assert f"pid {root.info.backend_pid}" in chain.root
    assert "idle in transaction" in chain.root
    assert chain.waiting == 2
    assert chain.longest_s > 0
    assert longest_idle(known)[0].pid == root.info.backend_pid
    assert longest_open(known)[0].pid == root.info.backend_pid
    with reviewed.probe("stranger") as probe, pytest.raises(Inconclusive, match="GRANT pg_read_all_stats"):
        sessions(probe)


@given(st.lists(st.lists(st.integers(0, 7), max_size=3), min_size=8, max_size=8))
def test_every_session_that_waits_has_a_root(blockers: list[list[int]]) -> None:
    """Chains, trees and circles alike: nobody who waits is left out, and the search ends."""
    known = [DbSession(n, "u", "", "active", 1, 1, tuple(b), 1.0) for n, b in enumerate(blockers)]
    found = chains(known)
    waiting = [one for one in known if one.blockers]
    assert bool(found) == bool(waiting)
    assert all(chain.waiting <= len(known) for chain in found)
    assert sum(chain.waiting for chain in found) >= len(waiting)


def test_an_inactive_slot_with_little_wal_is_no_fault(reviewed: Reviewed, postgres: Postgres) -> None:
    """Trap 13: what counts is the WAL that it keeps, and whether it lost any."""
    # It keeps WAL from the last checkpoint on, however much another test has written since then.
    reviewed.run("CHECKPOINT", "SELECT pg_create_physical_replication_slot('quiet', true)")
    (slot,) = slots(postgres)
    assert (slot.name, slot.active) == ("quiet", False)
    assert slot.bytes < 1 << 22
    before = slot.bytes
    for _ in range(3):
        reviewed.run("SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000))", "SELECT pg_switch_wal()")
    assert slots(postgres)[0].bytes > before + (2 << 20)
    reviewed.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
    reviewed.run(
        "SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000))", "SELECT pg_switch_wal()", "CHECKPOINT"
    )
    assert slots(postgres)[0].status == "lost"
    reviewed.run("SELECT pg_drop_replication_slot('quiet')", "ALTER SYSTEM RESET max_slot_wal_keep_size",
                 "SELECT pg_reload_conf()")  # fmt: skip
    assert slots(postgres) == ()


def test_an_archive_command_that_hangs_leaves_segments_waiting(reviewed: Reviewed, postgres: Postgres) -> None:
    """Trap 14: nothing has failed, and yet a segment waits: its age is measured."""
    gate = reviewed.home / "data" / "gate"
    gate.touch()
    reviewed.run("SELECT pg_logical_emit_message(false, 'x', 'x')", "SELECT pg_switch_wal()")
    try:
        reviewed.server.wait_for(
            # Again at every look: the archiver may have taken the first segments by its earlier command.
            "WITH switched AS (SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal())"
            " SELECT (SELECT count(*) > 0 FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') FROM switched",
            "t", within_s=60,
            what="a segment that waits",
        )  # fmt: skip
        waiting = postgres.waiting_segments()
        assert waiting.count >= 1
        assert waiting.oldest_s > 0
        assert not postgres.archiver().failing
    finally:
        gate.unlink()


def aged(xids: int, multixacts: int = 0) -> DatabaseAge:
    """A database with the usual settings."""
    return DatabaseAge("d", xids, multixacts, CYCLE, 2 * CYCLE)


@pytest.mark.parametrize(
    ("age", "share_above", "beyond"),
    [
        (aged(185_000_000), False, False),
        (aged(1_300_000_000), True, True),
        (aged(10_000_000, 1_300_000_000), True, True),
        (aged(300_000_000), False, True),
    ],
)
def test_an_age_of_the_cycle_is_normal(age: DatabaseAge, share_above: bool, beyond: bool) -> None:  # noqa: FBT001
    """Trap 12: 185 of 200 million is the cycle; 1.3 billion of transactions, or of multixacts alone, is not."""
    assert (age.share > 0.25, age.beyond_cycle) == (share_above, beyond)


def test_whether_an_age_comes_down() -> None:
    """Trap 12: it fell between two runs, it never fell, or a day has not passed."""

    def at(days_ago: float, xids: int, cluster: str = "1") -> Snapshot:
        row = {"xids": xids, "multixacts": 0, "xids_forced": CYCLE, "multixacts_forced": CYCLE}
        return Snapshot(transaction_age.SUBJECT, NOW - days_ago * DAY, Origin({"cluster": cluster}), {"d": row})

    assert comes_down("d", [at(3, 185), at(2, 50), at(0, 60)]) is True
    assert comes_down("d", [at(3, 100), at(2, 150), at(0, 300)]) is False
    assert comes_down("d", [at(0.5, 100), at(0, 300)]) is None
    assert comes_down("d", [at(3, 900, "another"), at(0, 300)]) is None
    assert comes_down("d", []) is None


def test_who_holds_the_age_back_is_named(reviewed: Reviewed, postgres: Postgres, client: Any) -> None:  # noqa: ANN401
    """A session with a snapshot, and a prepared transaction: by name, oldest first."""
    old = client()
    old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()")
    reviewed.run("BEGIN; CREATE TABLE prepared_one (id int); PREPARE TRANSACTION 'left behind'")
    try:
        text = holders(postgres)
        assert f"session {old.info.backend_pid} of postgres" in text
        assert "prepared transaction left behind of postgres" in text
        assert "oldest: table " in text
    finally:
        reviewed.run("ROLLBACK PREPARED 'left behind'")
    found = ages(age_snapshot(postgres))
    assert {one.database for one in found} >= {"postgres", "template1"}
    assert all(0 <= one.share < 0.01 for one in found)
