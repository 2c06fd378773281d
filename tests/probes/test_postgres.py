"""The PostgreSQL probe against a real server."""

from __future__ import annotations

import importlib
import os
import signal
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from opsverify.config.database import Login, Migration
from opsverify.core.check import Check
from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.postgres import Postgres
from tests.probes.probe_servers import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.probes.probe_servers import Cluster, Recorder


@pytest.fixture
def postgres(cluster: Cluster, recorder: Recorder) -> Iterator[Postgres]:
    """Open a probe as the role that may only read."""
    with Postgres(cluster.config(), PASSWORD, recorder) as probe:
        yield probe


@contextmanager
def locked(cluster: Cluster, seconds: float = 600) -> Iterator[None]:
    """Hold the table so that nobody can read it."""
    with cluster.superuser() as connection, connection.transaction():
        connection.execute("LOCK numbers IN ACCESS EXCLUSIVE MODE")
        connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{seconds}s'")
        yield


def test_rows(postgres: Postgres, recorder: Recorder) -> None:
    """Rows have their columns' names, parameters arrive, and all of it is recorded as a table."""
    rows = postgres.rows("SELECT id, name FROM numbers WHERE id <= %(most)s ORDER BY id", most=2)
    assert [(row.id, row.name) for row in rows] == [(1, "n1"), (2, "n2")]
    assert "'most': 2" in recorder.text
    assert "n2" in recorder.text
    assert "(2 rows)" in recorder.text


def test_row_and_value(postgres: Postgres) -> None:
    """One row, one value; a percent sign without parameters is itself."""
    assert postgres.row("SELECT 1 AS one, NULL AS nothing") == (1, None)
    assert postgres.value("SELECT count(*) FROM numbers WHERE name LIKE 'n1%'") == 111


def test_timed_is_the_time_of_the_statement(postgres: Postgres) -> None:
    """The time covers the statement's run on the server, and one that has nothing to do takes less."""
    slept = postgres.timed("SELECT pg_sleep(0.5)").elapsed_s
    assert slept >= 0.5
    assert postgres.timed("SELECT 1").elapsed_s < slept


@pytest.mark.parametrize("statement", ["SELECT 1 WHERE false", "SELECT generate_series(1, 2)"])
def test_row_wants_exactly_one(postgres: Postgres, statement: str) -> None:
    """None and two rows are not one."""
    with pytest.raises(Inconclusive, match="expected 1"):
        postgres.row(statement)


def test_value_wants_exactly_one(postgres: Postgres) -> None:
    """Two columns are not one value."""
    with pytest.raises(Inconclusive, match="2 columns"):
        postgres.value("SELECT 1 AS a, 2 AS b")


def test_evidence_keeps_500_rows(postgres: Postgres, recorder: Recorder) -> None:
    """The check sees every row, the evidence the first 500 and a note."""
    assert len(postgres.rows("SELECT id FROM numbers")) == 600
    assert "(600 rows, the first 500 shown)" in recorder.text


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "COMMIT; DELETE FROM numbers",
        "SET TRANSACTION READ WRITE; DELETE FROM numbers",
    ],
)
def test_nothing_can_be_written(cluster: Cluster, recorder: Recorder, statement: str) -> None:
    """Even a superuser writes nothing through the probe, and no statement gets out of its transaction."""
    with cluster.superuser() as connection:
        connection.execute(f"ALTER ROLE postgres PASSWORD '{PASSWORD}'")
    with (
        Postgres(cluster.config(login=Login(user="postgres")), PASSWORD, recorder) as probe,
        pytest.raises(Inconclusive),
    ):
        probe.rows(statement)
    with cluster.superuser() as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (600,)


def test_wrong_statement_is_inconclusive(postgres: Postgres, recorder: Recorder) -> None:
    """A missing table measures nothing; the message is one line, and the probe goes on working."""
    with pytest.raises(Inconclusive, match="does not exist") as caught:
        postgres.rows("SELECT * FROM missing_table")
    assert not isinstance(caught.value, Unreachable)
    assert "\n" not in str(caught.value)
    assert "does not exist" in recorder.text
    assert postgres.value("SELECT 1") == 1


def test_missing_right_is_inconclusive(postgres: Postgres) -> None:
    """A table we may not read is named with the remedy."""
    with pytest.raises(Inconclusive, match="grant reader the right"):
        postgres.rows("SELECT * FROM children")


def test_locks_are_no_answer(cluster: Cluster) -> None:
    """A locked table answers nothing within the limit."""
    with (
        locked(cluster),
        Postgres(cluster.config(statement_timeout_s=0.2), PASSWORD) as probe,
        pytest.raises(Unreachable, match=r"within 0\.2 s") as caught,
    ):
        probe.rows("SELECT * FROM numbers")
    assert not caught.value.by_clock  # the server's own clock ended it


def test_frozen_server_is_no_answer(cluster: Cluster) -> None:
    """A backend that cannot even carry out its own timeout is cut by the probe."""
    with Postgres(cluster.config(), PASSWORD) as probe:
        backend = probe.value("SELECT pg_backend_pid()")
        probe._config = cluster.config(statement_timeout_s=1, connect_timeout_s=1)
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(Unreachable, match="no answer") as caught:
                probe.value("SELECT 1")
            assert caught.value.by_clock
            assert psutil.Process(backend).status() == psutil.STATUS_STOPPED  # nobody let it go on meanwhile
        finally:
            os.kill(backend, signal.SIGCONT)


def test_closed_idle_connection_is_replaced(cluster: Cluster, postgres: Postgres) -> None:
    """A connection that the server closed between two checks costs nobody a check."""
    backend = postgres.value("SELECT pg_backend_pid()")
    with cluster.superuser() as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 60000)", [backend])
    assert postgres.value("SELECT pg_backend_pid()") != backend


def test_views_share_the_connection(postgres: Postgres, recorder: Recorder) -> None:
    """A view records elsewhere and uses the same backend."""
    elsewhere = type(recorder)()
    assert postgres.recording(elsewhere).value("SELECT pg_backend_pid()") == postgres.value("SELECT pg_backend_pid()")
    assert (len(elsewhere.kept), len(recorder.kept)) == (1, 1)


def test_one_probe_serves_threads(postgres: Postgres) -> None:
    """Statements of several threads take turns on the one connection."""
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(postgres.value("SELECT 1"))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 5


def test_server(postgres: Postgres) -> None:
    """Version and use of connections of a healthy primary."""
    server = postgres.server()
    assert server.version.startswith("18.")
    assert (server.in_recovery, server.read_only, server.max_connections) == (False, False, 20)
    assert 1 <= server.connections_used < 20


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("granted", [False, True])
def test_read_only_server_seen_by_a_read_only_role(cluster: Cluster, *, read_only: bool, granted: bool) -> None:
    """Our own role's setting never passes for the server's: it is read from the files, or it cannot be measured."""
    with cluster.superuser(options="-c default_transaction_read_only=off") as connection:
        connection.execute("ALTER ROLE reader SET default_transaction_read_only = on")
        if granted:
            connection.execute("GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO reader")
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if read_only else 'off'}")
        connection.execute("SELECT pg_reload_conf()")
        try:
            with Postgres(cluster.config(), PASSWORD) as probe:
                server = probe.server()
                if granted:
                    assert server.read_only is read_only
                else:
                    with pytest.raises(Inconclusive, match="hides the server's"):
                        _ = server.read_only
        finally:
            connection.execute("ALTER ROLE reader RESET default_transaction_read_only")
            connection.execute("REVOKE EXECUTE ON FUNCTION pg_show_all_file_settings() FROM reader")
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")


def test_read_only_server_is_seen(cluster: Cluster) -> None:
    """A server that starts all transactions READ ONLY shows that to a role without a setting of its own."""
    with cluster.superuser(options="-c default_transaction_read_only=off") as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        try:
            with Postgres(cluster.config(), PASSWORD) as probe:
                deadline = time.monotonic() + 60
                while not (seen := probe.server().read_only) and time.monotonic() < deadline:
                    threading.Event().wait(0.02)
            assert seen
        finally:
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")


def test_archiver(cluster: Cluster, postgres: Postgres) -> None:
    """An archive command that fails shows as failing."""
    with cluster.superuser() as connection:
        connection.execute("SELECT pg_switch_wal()")
    deadline = time.monotonic() + 60
    while not (seen := postgres.archiver()).failing and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    assert seen.failing
    assert seen.failed_count > 0
    assert (seen.archived_count, seen.last_archived_at) == (0, None)


def test_no_replicas(postgres: Postgres) -> None:
    """A lone server has none."""
    assert postgres.replicas() == ()


def test_rights(cluster: Cluster, postgres: Postgres) -> None:
    """What doctor reports about a reading role and about one that may write."""
    rights = postgres.rights()
    assert (rights.superuser, rights.can_write, rights.pg_monitor, rights.pg_stat_statements) == (False,) * 4
    with Postgres(cluster.config(login=Login(user="smoker")), PASSWORD) as smoker:
        assert smoker.rights().can_write


def test_migration(cluster: Cluster, postgres: Postgres) -> None:
    """Alembic's revision; several heads are all named, no row and no table cannot be measured."""
    with pytest.raises(Inconclusive, match="does not exist"):
        postgres.migration("alembic_version")
    with cluster.superuser() as connection:
        connection.execute("CREATE TABLE alembic_version (version_num text)")
        connection.execute("GRANT SELECT ON alembic_version TO reader")
        with pytest.raises(Inconclusive, match="no revision"):
            postgres.migration("alembic_version")
        connection.execute("INSERT INTO alembic_version VALUES ('0004')")
        assert postgres.migration("public.alembic_version") == "0004"
        connection.execute("INSERT INTO alembic_version VALUES ('0003b')")
        assert postgres.migration("alembic_version") == "0003b, 0004"
        connection.execute("DROP TABLE alembic_version")


def test_a_revision_is_what_the_targets_own_query_gives(postgres: Postgres) -> None:
    """Of whatever tool; Alembic's table is read only where the target names no query."""
    own = Migration(query="SELECT '41'", head="42")
    assert postgres.revision(own) == "41"
    with pytest.raises(Inconclusive, match="query gave no revision; run the migrations"):
        postgres.revision(Migration(query="SELECT max(relname::text) FROM pg_class WHERE false", head="42"))
    with pytest.raises(Inconclusive, match="alembic_version"):
        postgres.revision(Migration(head="42"))


@pytest.mark.parametrize(
    ("suite", "keys"), [("test_postgres", {"head": "41"}), ("test_post_rollback", {"head": "42", "previous": "41"})]
)
def test_every_check_of_the_migration_reads_it_alike(
    suite: str, keys: dict[str, str], postgres: Postgres, check: Check
) -> None:
    """After a rollback as before it: not from Alembic's table on a platform that has none."""
    migration = Migration(query="SELECT '41'", **keys)
    target: Any = SimpleNamespace(postgres=SimpleNamespace(migration=migration), limits=check.limits)
    changed = Check(check.planned, target, check.evidence)
    importlib.import_module(f"checks.{suite}").test_migration(changed, postgres)
    assert [(each.measured, each.holds) for each in changed.measurements] == [("41", True)]
