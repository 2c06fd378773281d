"""A cluster that was set up by somebody else: other names, other settings, and nothing of the judgment platform."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

import psycopg
import pytest

from opsverify.config.recovery import Recovery
from opsverify.errors import Inconclusive, NotRestorable
from opsverify.recovery.drill.parts import NotReached
from opsverify.recovery.postgres.catalog_files import databases, superusers
from opsverify.recovery.postgres.server import Server
from opsverify.recovery.postgres.tools import unprivileged
from opsverify.recovery.restore.pg_restore import DumpRestorePlan, restore_dump
from opsverify.recovery.restore.restored_server import Destination
from tests.support.drills import recorded, rehearse
from tests.support.primary import FULL, await_archived, owned, primary, server_tools

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.postgres.tools import Tools
    from tests.support.wreck import Disaster

PORT = 5437
CONFIGURATION = """
huge_pages = on
shared_preload_libraries = 'pg_stat_statements'
listen_addresses = '*'
unix_socket_group = 'nobody-has-this-group'
session_preload_libraries = ''
log_error_verbosity = verbose
"""
LOCALE = "ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
SCHEMA = """
CREATE TABLE app.event (id int, at date NOT NULL, note text) PARTITION BY RANGE (at);
CREATE TABLE app.event_old PARTITION OF app.event FOR VALUES FROM ('2020-01-01') TO ('2025-01-01');
CREATE TABLE app.event_new PARTITION OF app.event FOR VALUES FROM ('2025-01-01') TO ('2030-01-01');
CREATE INDEX event_brin ON app.event USING brin (at);
ALTER TABLE app.event ADD PRIMARY KEY (id, at);
INSERT INTO app.event SELECT n, date '2024-06-01' + n, 'n' || n FROM generate_series(1, 500) n;
"""


def _run(server: Server, sql: str, dbname: str) -> None:
    done = server.psql(sql, dbname=dbname)
    assert done.exit_code == 0, done.transcript


@pytest.fixture(scope="module")
def stranger(open_folder: Path) -> tuple[Path, Path]:
    """A cluster of `admin`, without the database `postgres`, whose role and database bend every session."""
    tools, account = server_tools(18, open_folder)
    tools = dataclasses.replace(tools, options="-c statement_timeout=0 -c default_transaction_read_only=off")
    home = owned(open_folder / "stranger", account)
    archive = owned(home / "wal", account)
    data = home / "data"
    made = ("-D", data, "-U", "admin", "-A", "trust", "--no-sync", "--wal-segsize=1", "-k")
    tools.succeed("initdb", *made, account=account)
    settings = {
        "fsync": "off", "listen_addresses": "", "unix_socket_directories": str(home), "port": str(PORT),
        "archive_mode": "on", "archive_command": f"cp %p {archive}/%f", "autovacuum": "off",
    }  # fmt: skip
    with Server(
        tools, data, settings, account=account, socket_dir=home, port=PORT, superuser="admin", log=home / "log"
    ) as server:
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=60, what="start of the stranger")
        _run(server, f"CREATE DATABASE plant TEMPLATE template0 {LOCALE}", "template1")
        _run(server, "CREATE SCHEMA app;" + SCHEMA, "plant")
        for statement in (
            "ALTER ROLE admin SET statement_timeout = '1ms'",
            "ALTER ROLE admin SET default_transaction_read_only = on",
            "ALTER DATABASE plant SET default_transaction_isolation = 'serializable'",
            "DROP DATABASE postgres",
        ):
            _execute(tools, home, statement)
        with (data / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)  # as a restart would find it
        dumped = ("-h", home, "-p", str(PORT), "-U", "admin", "-d", "plant", "-Fc", "-f", home / "plant.dump")
        done = tools.run("pg_dump", *dumped)
        assert done.exit_code == 0, done.transcript
        base = home / "base"
        where = ("-h", home, "-p", str(PORT), "-U", "admin", "-D", base, "-X", "none", "-c", "fast", "--no-sync")
        tools.succeed("pg_basebackup", *where, account=account)
        for number in (1001, 1002):
            insert = f"INSERT INTO app.event VALUES ({number}, '2024-07-01', 'later')"  # noqa: S608 - a number
            _execute(tools, home, insert)
            newest = _execute(tools, home, FULL).strip()
        await_archived(server, newest)
    return base, archive


def _execute(tools: Tools, home: Path, sql: str) -> str:
    """Send `sql` in a session that the role's own settings do not bend."""
    where = ("-h", home, "-p", str(PORT), "-U", "admin", "-d", "plant", "-X", "-q", "-A", "-t")
    done = tools.run("psql", *where, "-c", sql)
    assert done.exit_code == 0, done.transcript
    return done.stdout


def _recovery(stranger: tuple[Path, Path], scratch: Path, **more: object) -> Recovery:
    base, archive = stranger
    fields = {"base_backup": str(base), "wal_archive": str(archive), "ledger": "none", "scratch": str(scratch)}
    return Recovery.model_validate({**fields, **more}, strict=False)


@pytest.mark.parametrize("table", ["app.event", "app.event_old"])
def test_a_cluster_under_any_name_is_restored(stranger: tuple[Path, Path], scratch: Path, table: str) -> None:
    """Its superuser is `admin`, `postgres` is dropped; nothing of its configuration keeps the drill from its end."""
    drill = rehearse(_recovery(stranger, scratch, random_tables=[table], random_seed=1), dbname="plant")
    assert drill.ended is None, drill.ended
    assert drill.backup.problems == ()
    assert drill.restore.judgments == 501
    assert not isinstance(drill.parts.table, NotReached), drill.parts.table
    assert drill.table.differences == ()
    assert drill.table.rows == (501 if table == "app.event" else 214)
    text = "\n".join(drill.restore.overridden)
    for name in ("huge_pages = 'on'", "shared_preload_libraries = 'pg_stat_statements'", "listen_addresses = '*'"):
        assert name in text


def test_a_dump_is_restored_as_the_database_was_made(stranger: tuple[Path, Path], scratch: Path, port: int) -> None:
    """With its provider and locale, in a cluster with checksums as recorded: neither settings nor collations differ."""
    archive = stranger[0].parent / "plant.dump"
    found = []
    for checksums in (True, False):
        destination = Destination(scratch / "data", scratch / "s", port, dbname="plant")
        plan = DumpRestorePlan(archive, destination, 18, dt.datetime.now(dt.UTC), checksums=checksums)
        with restore_dump(plan) as server, psycopg.connect(server.dsn) as session:
            found.append(session.execute(_HOW).fetchone())
            assert session.execute("SELECT count(*) FROM app.event").fetchone() == (500,)
    assert found == [("b", "C.UTF-8", "C", "on"), ("b", "C.UTF-8", "C", "off")]


_HOW = """
SELECT datlocprovider::text, datlocale, datcollate, current_setting('data_checksums')
  FROM pg_database WHERE datname = current_database()
"""


def test_a_ledger_of_another_cluster_is_named(stranger: tuple[Path, Path], disaster: Disaster, scratch: Path) -> None:
    """Nothing of one can prove the other: the backup check fails."""
    history, _ = recorded(disaster, scratch)
    history = dataclasses.replace(history, system="4711")
    drill = rehearse(_recovery(stranger, scratch), history, dbname="plant")
    assert any("the ledger was recorded of 4711" in problem for problem in drill.backup.problems)


def test_an_extension_that_is_not_here_is_this_machines(scratch: Path, port: int) -> None:
    """The dump is whole: its restore is held, not failed."""
    account = unprivileged()
    tools = server_tools(18, scratch)[0]
    home = owned(scratch / "p", account)
    with primary(tools, account, home, {"archive_mode": "off"}) as server:
        catalogued = "INSERT INTO pg_extension SELECT 99999, 'absent_one', 10, 2200, true, '1.0', NULL, NULL"
        _ok(server, f"SET allow_system_table_mods = on; {catalogued}")
        archive = scratch / "absent.dump"
        _ok_run(tools, "pg_dump", "-h", home, "-p", "5433", "-U", "postgres", "-Fc", "-f", archive, "-d", "postgres")
    destination = Destination(scratch / "data", scratch / "s", port, dbname="plant")
    plan = DumpRestorePlan(archive, destination, 18, dt.datetime.now(dt.UTC))
    with pytest.raises(Inconclusive, match="tells nothing about the backup") as raised, restore_dump(plan):
        pass
    assert not isinstance(raised.value, NotRestorable)


def _ok(server: Server, sql: str) -> None:
    done = server.psql(sql)
    assert done.exit_code == 0, done.transcript


def _ok_run(tools: Tools, program: str, *args: str | Path) -> None:
    done = tools.run(program, *args)
    assert done.exit_code == 0, done.transcript


def test_names_are_read_from_the_files(stranger: tuple[Path, Path]) -> None:
    """No server is needed; a role that may not log in is no candidate."""
    assert superusers(stranger[0], 18) == ("admin",)
    assert "plant" in databases(stranger[0], 18)
    assert superusers(stranger[0] / "nowhere", 18) == databases(stranger[0] / "nowhere", 18) == ()


def test_a_refusal_that_does_not_go_away_ends_the_wait(stranger: tuple[Path, Path], scratch: Path) -> None:
    """At once, with the server's words; the limit of the stage is hours."""
    drill = rehearse(_recovery(stranger, scratch), dbname="no_such_database")
    assert drill.failure is not None
    assert '"no_such_database" is not in the backup' in drill.failure
    assert "plant" in drill.failure
