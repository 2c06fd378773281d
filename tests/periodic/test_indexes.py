"""Indexes: used, not removable, unused or unknown; doubled, invalid, bloated; against a real server and its standby."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from opsverify.errors import Inconclusive
from opsverify.limits import Limit
from opsverify.periodic.index_review import IndexReview, Unread, Usage
from opsverify.periodic.indexes import NodeScans, indexes, scans
from opsverify.probes.postgres import Postgres
from opsverify.recovery.postgres.server import Server
from tests.support.primary import PORT, owned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.periodic.indexes import IndexEntry
    from tests.periodic.conftest import Reviewed

MONTH = Limit(">=", 30 * 86400, "s")
SCANNED = "SELECT idx_scan > 0 FROM pg_stat_user_indexes WHERE indexrelname = 'far_note'"
AT_ONCE = Limit(">=", 0, "s")
"""Counters that cover no time at all are enough: the server of the tests is new."""


@pytest.fixture(scope="module")
def tables(reviewed: Reviewed) -> Reviewed:
    """Tables with an index of every kind."""
    reviewed.run(
        "CREATE TABLE kinds (id int PRIMARY KEY, code text UNIQUE, note text, at timestamptz, room int4range,"
        " EXCLUDE USING gist (room WITH &&))",
        "CREATE UNIQUE INDEX kinds_identity ON kinds (id) INCLUDE (code)",
        "CREATE INDEX kinds_plain ON kinds (note)",
        "CREATE INDEX kinds_same ON kinds (note)",
        "CREATE INDEX kinds_opclass ON kinds (note text_pattern_ops)",
        'CREATE INDEX kinds_collation ON kinds (note COLLATE "C")',
        "CREATE INDEX kinds_partial ON kinds (note) WHERE id > 10",
        "CREATE INDEX kinds_include ON kinds (note) INCLUDE (at)",
        "CREATE INDEX kinds_order ON kinds (note DESC)",
        "CREATE INDEX kinds_expression ON kinds (lower(note))",
        "CREATE INDEX kinds_fill ON kinds (note) WITH (fillfactor = 50)",
        "CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        "CREATE INDEX parts_at ON parts (at)",
        "CREATE TABLE replicated (id int NOT NULL, note text)",
        "CREATE UNIQUE INDEX replicated_id ON replicated (id)",
        "ALTER TABLE replicated REPLICA IDENTITY USING INDEX replicated_id",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    )
    return reviewed


def review_of(postgres: Postgres, *more: NodeScans | Unread) -> IndexReview:
    """The review of one server, with nodes that are given."""
    return IndexReview(indexes(postgres), [scans(postgres, "primary"), *more])


def test_an_index_that_enforces_something_is_never_unused(tables: Reviewed, postgres: Postgres) -> None:
    """Trap 6: primary keys, unique, exclusion and replica-identity indexes without a scan are not removable."""
    usage = review_of(postgres).usage(AT_ONCE)
    for name in ("kinds_pkey", "kinds_code_key", "kinds_room_excl", "replicated_id", "kinds_identity"):
        assert usage[f"public.{name}"] is Usage.NOT_REMOVABLE, name
    assert usage["public.kinds_plain"] is Usage.UNUSED
    assert tables


def test_counters_too_young_leave_it_unknown(tables: Reviewed, postgres: Postgres) -> None:
    """Trap 8: statistics of two days, or lost in a crash, say nothing about a month; the rest stays."""
    review = review_of(postgres)
    usage = review.usage(MONTH)
    assert usage["public.kinds_plain"] is Usage.UNKNOWN
    assert usage["public.kinds_pkey"] is Usage.NOT_REMOVABLE
    assert "primary counts for" in review.unknown_because(MONTH)
    assert "(reset or crash), >= 30d needed" in review.unknown_because(MONTH)
    reset = IndexReview(review.entries, [NodeScans("primary", 2 * 86400.0, {})])
    assert reset.usage(MONTH)["public.kinds_plain"] is Usage.UNKNOWN
    long_enough = IndexReview(review.entries, [NodeScans("primary", 31 * 86400.0, {})])
    assert long_enough.usage(MONTH)["public.kinds_plain"] is Usage.UNUSED
    assert tables


def test_indexes_are_named_by_their_answer(tables: Reviewed, postgres: Postgres) -> None:
    """As a check asks for them, by the word; largest first."""
    review = review_of(postgres)
    unused = names(review.named("unused", AT_ONCE))
    assert "public.kinds_plain" in unused
    assert "public.kinds_pkey" in names(review.named("not removable", AT_ONCE))
    assert "public.kinds_plain" in names(review.named("unknown", MONTH))
    sizes = [entry.bytes for entry in review.named("unused", AT_ONCE)]
    assert sizes == sorted(sizes, reverse=True)
    assert tables


def test_a_reset_of_the_database_is_the_beginning(tables: Reviewed, postgres: Postgres) -> None:
    """What the server counted before `pg_stat_reset` is gone: only the time since then is covered."""
    before = scans(postgres, "primary").counted_s
    begun = postgres.value("SELECT clock_timestamp()")
    tables.run("SELECT pg_stat_reset()")
    after = scans(postgres, "primary").counted_s
    since_then = postgres.value("SELECT clock_timestamp()") - begun
    assert before is not None
    assert after is not None
    assert 0 <= after <= since_then.total_seconds()


def test_a_crash_is_a_beginning_too(tables: Reviewed) -> None:
    """Trap 8: counters that a crash discarded count anew, though no reset of the database is recorded."""
    tables.run("SELECT pg_stat_reset_shared('bgwriter')", "SELECT pg_stat_reset_shared('archiver')")
    with tables.probe() as probe:
        counted = scans(probe, "primary").counted_s
        age = probe.value("SELECT extract(epoch FROM now() - pg_postmaster_start_time())::float8")
    assert counted is not None
    assert counted < age


def test_an_index_that_only_the_replica_scans_is_used(tables: Reviewed) -> None:
    """Trap 7: its scans are counted there alone. A replica that is declared and cannot be read: unknown."""
    tables.run("CREATE TABLE far (id int, note text)", "CREATE INDEX far_note ON far (note)")
    tables.run("INSERT INTO far SELECT n, n::text FROM generate_series(1, 2000) n", "ANALYZE far",
               "GRANT SELECT ON far TO reader")  # fmt: skip
    with standby(tables) as (home, server):
        config = tables.config(home=home)
        with tables.probe() as probe, Postgres(config) as replica:
            alone = IndexReview.of(probe, {}, 0).usage(AT_ONCE)
            assert alone["public.far_note"] is Usage.UNUSED
            assert replica.rows("SELECT * FROM far WHERE note = '77'")
            server.wait_for(SCANNED, "t", within_s=60, what="the standby to count the scan")
            both = IndexReview.of(probe, {"replica": lambda: replica}, 1)
            assert both.usage(AT_ONCE)["public.far_note"] is Usage.USED
            unnamed = IndexReview.of(probe, {}, 1)
            assert unnamed.usage(AT_ONCE)["public.far_note"] is Usage.UNKNOWN
            assert "[[postgres.nodes]] has 0; name every replica" in unnamed.unknown_because(AT_ONCE)
    with tables.probe() as probe, Postgres(config) as replica:
        away = IndexReview.of(probe, {"replica": lambda: replica}, 1)
        assert away.usage(AT_ONCE)["public.far_note"] is Usage.UNKNOWN
        assert "replica could not be read: PostgreSQL" in away.unknown_because(AT_ONCE)


def test_parts_of_one_index_are_one(tables: Reviewed, postgres: Postgres) -> None:
    """A part cannot be dropped alone: one that is used keeps all."""
    entries = indexes(postgres)
    (part,) = (entry for entry in entries if entry.name == "public.parts_1_at_idx")
    unused = IndexReview(entries, [NodeScans("primary", 1e9, {})])
    assert unused.usage(MONTH)["public.parts_2_at_idx"] is Usage.UNUSED
    used = IndexReview(entries, [NodeScans("primary", 1e9, {part.oid: (3, None)})])
    assert used.usage(MONTH)["public.parts_2_at_idx"] is Usage.USED
    old = IndexReview(entries, [NodeScans("primary", 1e9, {part.oid: (3, 90 * 86400.0)})])
    assert old.usage(MONTH)["public.parts_2_at_idx"] is Usage.UNUSED
    assert "public.parts_at" not in unused.usage(MONTH)
    assert tables


def test_only_the_same_work_is_a_duplicate(tables: Reviewed, postgres: Postgres) -> None:
    """Trap 9: another operator class, collation, predicate, INCLUDE, order, expression or option is another index."""
    doubled = {(one.name, other.name) for one, other in review_of(postgres).duplicates if one.table == "public.kinds"}
    assert doubled == {("public.kinds_same", "public.kinds_plain")}
    assert tables


def test_the_one_that_enforces_is_kept(reviewed: Reviewed, postgres: Postgres) -> None:
    """Of a plain index and the unique one over the same column, the plain one may go."""
    reviewed.run("CREATE TABLE doubled (id int PRIMARY KEY)", "CREATE INDEX a_first ON doubled (id)")
    doubled = {(one.name, other.name) for one, other in review_of(postgres).duplicates}
    assert ("public.a_first", "public.doubled_pkey") in doubled


def test_an_index_that_is_being_built_is_no_fault(reviewed: Reviewed, postgres: Postgres) -> None:
    """Trap 10: invalid while CREATE INDEX CONCURRENTLY waits; left behind by a failed one, it is a fault."""
    reviewed.run("CREATE TABLE built (id int)", "INSERT INTO built VALUES (1), (1)")
    with psycopg.connect(host=str(reviewed.home), port=PORT, user="postgres", dbname="postgres") as holder:
        holder.execute("LOCK built IN ROW EXCLUSIVE MODE")  # the build waits for this transaction
        building = threading.Thread(
            target=reviewed.server.psql,
            args=("CREATE UNIQUE INDEX CONCURRENTLY built_ccnew ON built (id)",),
            kwargs={"timeout_s": 600.0},
        )
        building.start()
        reviewed.server.wait_for(
            "SELECT EXISTS (SELECT FROM pg_index WHERE NOT indisvalid AND indexrelid::regclass::text = 'built_ccnew')",
            "t", within_s=60, what="the build",
        )  # fmt: skip
        assert "public.built_ccnew" not in names(review_of(postgres).invalid)
        with reviewed.probe("stranger") as probe, pytest.raises(Inconclusive, match="GRANT pg_read_all_stats"):
            indexes(probe)
    building.join()
    assert "public.built_ccnew" in names(review_of(postgres).invalid)


def test_bloat_only_where_the_estimate_is_right(reviewed: Reviewed, postgres: Postgres) -> None:
    """Trap 11: partial, expression and other indexes are not estimated; a fresh one passes, an emptied one does not."""
    reviewed.run(
        "CREATE TABLE emptied (id int PRIMARY KEY, big bigint, note text)",
        "INSERT INTO emptied SELECT n, n, n::text FROM generate_series(1, 150000) n",
        "CREATE UNIQUE INDEX emptied_two ON emptied (id, big) WITH (fillfactor = 70)",
        "CREATE INDEX emptied_partial ON emptied (id) WHERE id > 0",
        "CREATE INDEX emptied_expression ON emptied ((id + 1))",
        "CREATE UNIQUE INDEX emptied_text ON emptied (note)",
        "VACUUM ANALYZE emptied",
    )
    fresh = bloat(postgres)
    assert fresh.keys() == {"public.emptied_pkey", "public.emptied_two"}
    assert max(fresh.values()) < 0.05
    left_out = set(names(review_of(postgres).not_estimated))
    assert left_out == {"public.emptied_partial", "public.emptied_expression", "public.emptied_text"}
    reviewed.run("DELETE FROM emptied WHERE id % 10 <> 0", "VACUUM ANALYZE emptied")
    assert 0.85 < bloat(postgres)["public.emptied_pkey"] < 0.95
    reviewed.run("REINDEX TABLE emptied", "INSERT INTO emptied SELECT n, n, n FROM generate_series(200000, 350000) n",
                 "REINDEX TABLE emptied", "VACUUM ANALYZE emptied")  # fmt: skip
    assert max(bloat(postgres).values()) < 0.05


def bloat(postgres: Postgres) -> dict[str, float]:
    """Share of every estimated index of `emptied` that rebuilding would free."""
    return {entry.name: share for entry, share in review_of(postgres).estimated if entry.table == "public.emptied"}


def names(entries: tuple[IndexEntry, ...]) -> list[str]:
    """Their names."""
    return [entry.name for entry in entries]


@contextmanager
def standby(reviewed: Reviewed) -> Iterator[tuple[Path, Server]]:
    """A streaming standby of the server; yields the folder of its socket, and the server."""
    home = owned(reviewed.home.parent / "s", reviewed.account)
    data = home / "data"
    reviewed.tools.succeed(
        "pg_basebackup", "-h", reviewed.home, "-p", str(PORT), "-U", "postgres", "-D", data, "-R", "-c", "fast", "-N",
        account=reviewed.account,
    )  # fmt: skip
    settings = {
        "fsync": "off", "listen_addresses": "", "unix_socket_directories": str(home), "port": str(PORT),
        "archive_mode": "off",
        "max_prepared_transactions": "2",
    }  # fmt: skip
    with Server(
        reviewed.tools, data, settings, account=reviewed.account, socket_dir=home, port=PORT, superuser="postgres",
        log=home / "log",
    ) as server:  # fmt: skip
        server.wait_for("SELECT pg_is_in_recovery()", "t", within_s=60, what="start of the standby")
        yield home, server
