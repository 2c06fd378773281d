"""Restore an archive of pg_dump into a new server of its own that can touch nothing else."""

from __future__ import annotations

import os
import re
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from opsverify.recovery.backup.roles_dump import run_sql
from opsverify.recovery.backup.source import BackupDamaged
from opsverify.recovery.backup.tablespaces import ROOM, keep_inside
from opsverify.recovery.postgres.server import Server
from opsverify.recovery.postgres.tools import find_tools, for_account, unprivileged
from opsverify.recovery.restore.copy_backup import private_folder
from opsverify.recovery.restore.pitr import RestoredServer, probe_write, write_files
from opsverify.recovery.restore.settings import ACCESS, private_settings

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from opsverify.recovery.backup.roles_dump import ClusterDump

_HOURS_S: Final = 4 * 3600.0
_START_S: Final = 60.0
_PASSING: Final = "opsverify.sql"
_OF_DATABASE: Final = re.compile(r"^\d+; \d+ \d+ (?:DATABASE|ACL - DATABASE|DATABASE PROPERTIES) .*$", re.MULTILINE)
_ON_DATABASE: Final = re.compile(r"^(?:ALTER DATABASE|ALTER ROLE|GRANT|REVOKE) .*;$", re.MULTILINE)
_ROLE_MISSING: Final = re.compile(r'role "[^"]*" does not exist')
_NAME_ROLES: Final = "; run pg_dumpall --globals-only, and name its file as pg_dump.globals"


@contextmanager
def restore_dump(
    archive: Path,
    data_dir: Path,
    *,
    major: int,
    taken_at: dt.datetime,
    port: int,
    socket_dir: Path,
    progress: Callable[[str, int, int], None],
    dbname: str,
    settings: Mapping[str, str],
    roles: ClusterDump | None = None,
) -> Iterator[RestoredServer]:
    """Restore `archive` into the database `dbname` of a new cluster in `data_dir`; on leaving, remove all of it.

    With `roles` these are made first, tablespaces in a folder beside `data_dir`, and owners and grants are kept.
    Without, owners, grants and tablespaces are left out: the archive of one database does not hold them. Raises
    BackupDamaged when roles or database cannot be restored, Inconclusive when the new server does not come up.
    """
    began = time.monotonic()
    account = unprivileged()
    superuser = roles.superuser if roles else "postgres"
    room = data_dir.with_name(ROOM)
    tools = for_account(find_tools(major), account, data_dir.parent)
    with ExitStack() as stack:
        stack.enter_context(private_folder(socket_dir, account, apart_from=(archive,)))
        stack.enter_context(private_folder(data_dir, account, apart_from=(archive,)))
        stack.enter_context(private_folder(room, account, apart_from=(archive,)))
        cluster = ("-D", data_dir, "-U", superuser, "-A", "trust", "-E", "UTF8", "--no-sync")
        tools.succeed("initdb", *cluster, timeout_s=_START_S, account=account)
        write_files(data_dir, ACCESS, account)
        private = private_settings(data_dir=data_dir, socket_dir=socket_dir, port=port)
        log = data_dir / "opsverify.log"
        server = stack.enter_context(
            Server(
                tools,
                data_dir,
                private | dict(settings),
                account=account,
                socket_dir=socket_dir,
                port=port,
                superuser=superuser,
                log=log,
            )
        )
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=_START_S, what="start of the new server")
        made = time.monotonic()
        where = ("-h", socket_dir, "-p", str(port), "-U", superuser)
        if roles is not None:
            _make_roles(server, roles, data_dir, room)
        if dbname != "postgres":
            tools.succeed("createdb", *where, "-T", "template0", dbname)
        kept = () if roles else ("--no-owner", "--no-privileges", "--no-tablespaces")
        options = (*kept, "--exit-on-error", "-j", str(os.cpu_count() or 1))
        progress("recover", 0, 1)
        done = tools.run("pg_restore", *where, "-d", dbname, *options, archive, timeout_s=_HOURS_S)
        if done.exit_code != 0:
            first = next((line for line in done.stderr.splitlines() if "error: " in line), done.last_line)
            hint = "" if roles or not _ROLE_MISSING.search(first) else _NAME_ROLES
            raise BackupDamaged(f"pg_restore {archive}: {first} (exit {done.exit_code}){hint}")
        if roles is not None:
            _set_database_up(server, archive, dbname, data_dir)
        restored = time.monotonic()
        progress("recover", 1, 1)
        probe_write(server)
        read_write = time.monotonic()
        yield RestoredServer(
            dsn=f"host={socket_dir} port={port} user={superuser} dbname={dbname}",
            host=str(socket_dir),
            port=port,
            backup=None,
            target_time=taken_at,
            recovered_to=taken_at,
            replayed=0,
            timeline=1,
            to_target_s=restored - began,
            to_read_write_s=read_write - began,
            durations={"initdb": made - began, "recover": restored - made, "probe": read_write - restored},
            log=log,
            server=server,
        )


def _make_roles(server: Server, roles: ClusterDump, data_dir: Path, room: Path) -> None:
    for number in range(roles.tablespaces):
        folder = room / str(number)
        folder.mkdir(mode=0o700)
        if server.account is not None:
            os.chown(folder, server.account.uid, server.account.gid)
    with _private_file(data_dir, roles.with_tablespaces_in(room), server) as path:
        run_sql(server, path, "postgres", existing=roles.superuser, origin=roles.path.name)
    keep_inside(data_dir)


def _set_database_up(server: Server, archive: Path, dbname: str, data_dir: Path) -> None:
    """Give the database its owner, grants and settings: pg_restore does that only to one that it makes itself."""
    listed = server.tools.succeed("pg_restore", "--create", "--list", archive).stdout
    if f";     dbname: {dbname}\n" not in listed:
        return
    with _private_file(data_dir, "\n".join(_OF_DATABASE.findall(listed)) + "\n", server) as wanted:
        script = server.tools.succeed("pg_restore", "--create", "--use-list", wanted, "--file", "-", archive).stdout
    with _private_file(data_dir, "\n".join(_ON_DATABASE.findall(script)) + "\n", server) as path:
        run_sql(server, path, dbname, origin=f"{archive.name}, properties of the database")


@contextmanager
def _private_file(data_dir: Path, content: str, server: Server) -> Iterator[Path]:
    write_files(data_dir, {_PASSING: content}, server.account)
    try:
        yield data_dir / _PASSING
    finally:
        (data_dir / _PASSING).unlink()
