"""A cluster that was set up by somebody else: other names, other settings, and nothing of the judgment platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.config.model import Recovery
from opsverify.recovery.drill.parts import NotReached
from opsverify.recovery.postgres.catalog_files import databases, superusers
from opsverify.recovery.postgres.server import Server
from tests.support.drills import rehearse
from tests.support.primary import owned, server_tools

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.postgres.tools import Account, Tools

PORT = 5437
CONFIGURATION = """
huge_pages = on
shared_preload_libraries = 'pg_stat_statements'
listen_addresses = '*'
unix_socket_group = 'nobody-has-this-group'
session_preload_libraries = ''
log_error_verbosity = verbose
"""
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
    home = owned(open_folder / "stranger", account)
    archive = owned(home / "wal", account)
    data = home / "data"
    made = ("-D", data, "-U", "admin", "-A", "trust", "--no-sync", "--wal-segsize=1", "-k")
    tools.succeed("initdb", *made, account=account)
    settings = {
        "fsync": "off", "listen_addresses": "", "unix_socket_directories": str(home), "port": str(PORT),
        "archive_mode": "on", "archive_command": f"cp %p {archive}/%f",
    }  # fmt: skip
    with Server(
        tools, data, settings, account=account, socket_dir=home, port=PORT, superuser="admin", log=home / "log"
    ) as server:
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=60, what="start of the stranger")
        _run(server, "CREATE DATABASE plant", "template1")
        _run(server, "CREATE SCHEMA app;" + SCHEMA, "plant")
        for statement in (
            "ALTER ROLE admin SET statement_timeout = '1ms'",
            "ALTER ROLE admin SET default_transaction_read_only = on",
            "ALTER DATABASE plant SET default_transaction_isolation = 'serializable'",
            "DROP DATABASE postgres",
        ):
            _run(server, "SET default_transaction_read_only = off; SET statement_timeout = 0; " + "SELECT 1", "plant")
            _execute(tools, home, account, statement)
        with (data / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)  # as a restart would find it
        base = home / "base"
        where = ("-h", home, "-p", str(PORT), "-U", "admin", "-D", base, "-X", "none", "-c", "fast", "--no-sync")
        tools.succeed("pg_basebackup", *where, account=account)
        for number in (1001, 1002):
            insert = f"INSERT INTO app.event VALUES ({number}, '2024-07-01', 'later')"  # noqa: S608 - a number
            _execute(tools, home, account, insert)
            _execute(tools, home, account, "SELECT pg_switch_wal()")
        segment = "SELECT pg_walfile_name(pg_current_wal_lsn() - 1)"
        name = _execute(tools, home, account, segment).strip()
        server.wait_for(
            f"SELECT last_archived_wal >= '{name}' FROM pg_stat_archiver",  # noqa: S608 - a segment's name
            "t", within_s=60, what="archiving",
        )  # fmt: skip
    return base, archive


def _execute(tools: Tools, home: Path, account: Account | None, sql: str) -> str:
    del account
    begin = "SET statement_timeout = 0; SET default_transaction_read_only = off"
    where = ("-h", home, "-p", str(PORT), "-U", "admin", "-d", "plant", "-X", "-q", "-A", "-t")
    done = tools.run("psql", *where, "-c", begin, "-c", sql)
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
