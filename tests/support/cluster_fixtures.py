"""One real PostgreSQL for all tests here: archive, base backup, and commits at known times."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from opsverify.probes.eventually import eventually
from opsverify.recovery.backup.base_backup import inspect
from opsverify.recovery.postgres.server import Server
from opsverify.recovery.restore.restored_server import reserved_port
from tests.support.clones import WHOLE, Clone
from tests.support.primary import FULL, await_archived, cloned_server, owned, primary, server_tools
from tests.support.target_file import SMALLEST
from tests.support.wreck import Disaster, heartbeat_writer

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

    from opsverify.recovery.postgres.tools import Account


MAJOR = 18

SCHEMA = """
CREATE TABLE marks (note text);
CREATE SCHEMA opsverify;
CREATE TABLE opsverify.heartbeat (number bigint PRIMARY KEY, at timestamptz NOT NULL);
CREATE TABLE judgment_executions (created_at timestamptz, synthetic_tag text);
CREATE TABLE workflow_instances (status text, started_at timestamptz, synthetic_tag text);
CREATE TABLE fact_daily_production (
    date date, line_code text, product_code text, planned_qty numeric, produced_qty numeric, defect_qty int
);
INSERT INTO judgment_executions
    SELECT now() - n * interval '3 minutes', CASE WHEN n % 50 = 0 THEN 'smoke' END
      FROM generate_series(1, 600) n;
INSERT INTO workflow_instances
    SELECT (ARRAY['COMPLETED', 'FAILED', 'DEAD', 'RUNNING'])[1 + n % 4],
           now() - n * interval '9 minutes', NULL
      FROM generate_series(1, 200) n;
INSERT INTO fact_daily_production
    SELECT current_date - d, 'L0' || l, 'P' || p, 100.5, 90 + p, p FROM
      generate_series(0, 9) d, generate_series(1, 3) l, generate_series(1, 4) p;
"""


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """Provide a scratch folder that the unprivileged account may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="ov-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def scratch(open_folder: Path) -> Iterator[Path]:
    """Provide a folder of one test's own inside `open_folder`."""
    folder = Path(tempfile.mkdtemp(dir=open_folder))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Provide a project folder with one target, which has a service and nothing else, and no runs."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "t.toml").write_text(SMALLEST, encoding="utf-8")
    return tmp_path


@pytest.fixture
def port() -> Iterator[int]:
    """Provide a port for a server of the test's own, which nobody else is given."""
    with reserved_port() as port:
        yield port


@pytest.fixture(scope="session")
def disaster(open_folder: Path) -> Disaster:
    """Run a cluster, back it up, commit twice, archive its WAL, destroy it."""
    tools, account = server_tools(MAJOR, open_folder)
    home = open_folder / "primary"
    archive = open_folder / "wal"
    for folder in (home, archive):
        folder.mkdir()
        if account:
            os.chown(folder, account.uid, account.gid)
    archive.chmod(0o755)
    data = home / "data"
    made = tools.run(
        "initdb",
        "-D",
        data,
        "-E",
        "UTF8",
        "-U",
        "postgres",
        "-A",
        "trust",
        "--no-sync",
        "--wal-segsize=1",
        account=account,
    )
    assert made.exit_code == 0, made.transcript
    settings = {
        "archive_mode": "on",
        "archive_command": f"cp %p {archive}/%f.tmp && mv {archive}/%f.tmp {archive}/%f",
        "autovacuum": "off",
        "fsync": "off",
        "listen_addresses": "",
        "unix_socket_directories": str(home),
        "port": "5432",
        "log_timezone": "Asia/Seoul",
        "synchronous_standby_names": "",
    }
    log = open_folder / "primary.log"
    with ExitStack() as stack:
        server = stack.enter_context(
            Server(
                tools,
                data,
                settings,
                account=account,
                socket_dir=home,
                port=5432,
                superuser="postgres",
                log=log,
            )
        )
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=60, what="start of the primary")
        with psycopg.connect(f"host={home} user=postgres dbname=postgres", autocommit=True) as database:
            database.execute(SCHEMA)
            base = home / "base"
            where = ("-h", home, "-U", "postgres", "-D", base, "-X", "none", "-c", "fast", "--no-sync")
            taken = tools.run("pg_basebackup", *where, account=account)
            assert taken.exit_code == 0, taken.transcript
            writer = heartbeat_writer(home, open_folder / "heartbeat.log")
            writer.run(threading.Event(), beats=3)
            database.execute("INSERT INTO marks VALUES ('first')")
            between = _past(database)
            _past(database)
            writer.run(threading.Event(), beats=2)
            # Several segments, so that one in the middle can go missing.
            newest = ""
            for note in ("second", "third", "fourth"):
                database.execute("INSERT INTO marks VALUES (%s)", (note,))
                newest = server.row(FULL)[0]
            end = _past(database)
            await_archived(server, newest)
    shutil.rmtree(data)
    return Disaster(base, archive, between, end, inspect(base, tools, archive), tools, account, writer.log.path)


def _past(database: psycopg.Connection) -> dt.datetime:
    """Provide a moment after everything committed so far, which the database's clock has left behind."""
    row = database.execute("SELECT clock_timestamp() + interval '2 ms', pg_sleep(0.005)").fetchone()
    assert row
    moment: dt.datetime = row[0]
    return moment


@pytest.fixture
def archive_copy(disaster: Disaster, scratch: Path) -> Path:
    """Provide the WAL archive, to be spoiled."""
    return _copy(disaster.archive, scratch / "wal", disaster.account)


@pytest.fixture
def base_copy(disaster: Disaster, scratch: Path) -> Path:
    """Provide the base backup, to be spoiled: its files are links, so `detach` one before writing into it."""
    return Path(shutil.copytree(disaster.base, scratch / "base", copy_function=os.link))


def _copy(source: Path, target: Path, account: Account | None) -> Path:
    shutil.copytree(source, target)
    for path in (target, *target.rglob("*")):
        if account:
            os.chown(path, account.uid, account.gid)
    return target


@pytest.fixture(scope="session")
def whole(open_folder: Path) -> Iterator[tuple[Server, Path]]:
    """Run a server whose database `whole` nobody touches: `clone` copies it."""
    tools, account = cloned_server(MAJOR, open_folder)
    home = open_folder / "clones"
    home.mkdir()
    if account:
        os.chown(home, account.uid, account.gid)
    data = home / "data"
    options = ("-D", data, "-E", "UTF8", "-U", "postgres", "-A", "trust", "--no-sync", "-k")
    made = tools.run("initdb", *options, account=account)
    assert made.exit_code == 0, made.transcript
    settings = {
        "fsync": "off", "full_page_writes": "off", "listen_addresses": "", "unix_socket_directories": str(home),
        "port": "5432", "autovacuum": "off",
    }  # fmt: skip
    log = open_folder / "clones.log"
    with Server(
        tools, data, settings, account=account, socket_dir=home, port=5432, superuser="postgres", log=log
    ) as server:
        # Not as a drill waits, by psql: a package of another major version has none.
        assert eventually(lambda: _answers(home), bool, deadline_s=60.0, every_s=0.02, what="start of the server")
        with psycopg.connect(f"host={home} user=postgres dbname=postgres", autocommit=True) as database:
            database.execute("CREATE DATABASE whole")
        with psycopg.connect(f"host={home} user=postgres dbname=whole", autocommit=True) as database:
            for statement in WHOLE.split(";\n"):
                database.execute(statement.encode())
        yield server, data


def _answers(home: Path) -> bool:
    try:
        psycopg.connect(f"host={home} user=postgres dbname=postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def second_server(open_folder: Path) -> Iterator[Server]:
    """Run another server, which is not the one that was restored."""
    tools, account = server_tools(MAJOR, open_folder)
    home = owned(open_folder / "second", account)
    with primary(tools, account, home, {"archive_mode": "off"}) as server:
        yield server


@pytest.fixture
def clone(whole: tuple[Server, Path], request: pytest.FixtureRequest) -> Iterator[Clone]:
    """Provide a copy of the whole database to be damaged, none of its pages in a buffer."""
    server, data = whole
    name = f"clone_{abs(hash(request.node.nodeid)):x}"
    where = f"host={server.socket_dir} user=postgres dbname="
    with psycopg.connect(f"{where}postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE whole STRATEGY file_copy".encode())
        with psycopg.connect(where + name, autocommit=True, row_factory=namedtuple_row) as session:
            yield Clone(server, name, data, session)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def whole_source(
    whole: tuple[Server, Path],
) -> Iterator[Callable[[str, Mapping[str, object]], list[tuple[object, ...]]]]:
    """Provide a way to ask the undamaged database."""
    server, data = whole
    with psycopg.connect(f"host={server.socket_dir} user=postgres dbname=whole", autocommit=True) as session:
        yield Clone(server, "whole", data, session).source
