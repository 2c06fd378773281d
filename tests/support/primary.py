"""A PostgreSQL server for tests that make their own backups."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opsverify.recovery.postgres.server import Server
from opsverify.recovery.postgres.tools import Account, Tools, find_tools, for_account, unprivileged
from tests.majors.servers import other_major, server_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PORT = 5433
"""Only names the socket: nothing listens on TCP."""

SCHEMA = """
CREATE TABLE judgment_executions (id int PRIMARY KEY, note text);
INSERT INTO judgment_executions SELECT n, repeat(md5(n::text), 8) FROM generate_series(1, 3000) n;
"""


def server_tools(major: int, open_folder: Path) -> tuple[Tools, Account | None]:
    """Tools of PostgreSQL `major` that the account may run, and the account; None is ourselves.

    Every test that starts a server takes both from here: root's clone, and with it the wheel's programs, may lie in
    a folder of mode 0700 that the account cannot enter. The copy of the programs is made once in `open_folder`.
    """
    account = unprivileged()
    return for_account(find_tools(major), account, open_folder), account


def cloned_server(major: int, open_folder: Path) -> tuple[Tools, Account | None]:
    """The server whose database tests clone, and the account: of `major`, or of another version that is asked for."""
    if (other := other_major()) is None:
        return server_tools(major, open_folder)
    account = unprivileged()
    return for_account(server_of(other), account, open_folder), account


def next_second() -> None:
    """Wait for it: the end of a backup and the moment of a dump are known to the second."""
    begun = int(time.time())
    while int(time.time()) == begun:
        threading.Event().wait(0.02)


@contextmanager
def primary(tools: Tools, account: Account | None, home: Path, settings: Mapping[str, str]) -> Iterator[Server]:
    """Run a new cluster with small segments and `SCHEMA` in `home`, a folder of the account's."""
    data = home / "data"
    options = ("-D", data, "-E", "UTF8", "-U", "postgres", "-A", "trust", "--no-sync", "--wal-segsize=1", "-k")
    tools.succeed("initdb", *options, account=account)
    defaults = {
        "fsync": "off",
        "listen_addresses": "",
        "unix_socket_directories": str(home),
        "port": str(PORT),
        "archive_mode": "on",
        "autovacuum": "off",  # its commits, on a machine on which this takes a minute, would be the newest ones
        "log_timezone": "Asia/Seoul",
        "timezone": "Asia/Seoul",
    }
    with Server(
        tools, data, defaults | dict(settings), account=account, socket_dir=home, port=PORT, superuser="postgres",
        log=home / "log",
    ) as server:  # fmt: skip
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=60, what="start of the primary")
        succeed(server, SCHEMA)
        yield server


def succeed(server: Server, sql: str) -> None:
    """Send `sql`, which must not fail, however long a busy machine takes for it."""
    done = server.psql(sql, timeout_s=600.0)
    assert done.exit_code == 0, done.transcript


def commit_and_archive(server: Server, *ids: int) -> None:
    """Commit one row for each of `ids` in a segment of its own, and wait until all of them are archived."""
    newest = ""
    for number in ids:
        succeed(server, f"INSERT INTO judgment_executions VALUES ({number}, 'later')")  # noqa: S608 - a number
        newest = server.row(FULL)[0]
    await_archived(server, newest)


FULL = "SELECT pg_walfile_name(pg_switch_wal() - 1)"
"""Ends the segment in use, and names it: asked later, the server may have begun another one by itself."""


def await_archived(server: Server, segment: str) -> None:
    """Wait until `segment`, and with it all before it, is archived."""
    done = f"SELECT coalesce(last_archived_wal, '') >= '{segment}' FROM pg_stat_archiver"  # noqa: S608 - a segment name
    server.wait_for(done, "t", within_s=60, what="archiving")


def spread_out(server: Server, folder: Path) -> None:
    """Move the table of `SCHEMA` into a tablespace in `folder`, whose name wants quoting."""
    succeed(server, f"CREATE TABLESPACE \"slow disk\" LOCATION '{folder}'")
    succeed(server, 'ALTER TABLE judgment_executions SET TABLESPACE "slow disk"')


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of everything below `folder`: what a drill must leave alone."""
    state = {path.relative_to(folder): path.lstat() for path in folder.rglob("*")}
    return {str(path): (entry.st_size, entry.st_mtime_ns) for path, entry in state.items()}


def owned(folder: Path, account: Account | None) -> Path:
    """Make `folder`, of the account."""
    folder.mkdir(mode=0o755)
    if account:
        os.chown(folder, account.uid, account.gid)
    return folder
