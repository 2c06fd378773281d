"""Restore of an archive of pg_dump into a new server of its own that can touch nothing else."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.recovery.backup.base_backup import BackupDamaged
from opsverify.recovery.backup.roles_dump import run_sql
from opsverify.recovery.backup.tablespaces import require_links_inside
from opsverify.recovery.postgres.blame import fault_of
from opsverify.recovery.postgres.dumped_database import template_options
from opsverify.recovery.postgres.identifiers import quoted
from opsverify.recovery.postgres.tools import find_tools, for_account, unprivileged
from opsverify.recovery.restore.copy_backup import private_folder
from opsverify.recovery.restore.restored_server import (
    Destination,
    Progress,
    RestoredServer,
    Stopwatch,
    no_progress,
    probe_writes,
    write_files,
)
from opsverify.recovery.restore.settings import ACCESS, private_settings

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.recovery.backup.roles_dump import ClusterDump
    from opsverify.recovery.postgres.server import Server

_HOURS_S: Final = 4 * 3600.0
_START_S: Final = 60.0
_SQL_FILE: Final = "opsverify.sql"
_OF_DATABASE: Final = re.compile(r"^\d+; \d+ \d+ (?:DATABASE|ACL - DATABASE|DATABASE PROPERTIES) .*$", re.MULTILINE)
_ON_DATABASE: Final = re.compile(r"^(?:ALTER DATABASE|ALTER ROLE|GRANT|REVOKE) .*;$", re.MULTILINE)
_CHECKSUMS_BY_DEFAULT: Final = 18
_ROLE_MISSING: Final = re.compile(r'role "[^"]*" does not exist')
_NAME_ROLES: Final = say("; run pg_dumpall --globals-only, and name its file as pg_dump.globals")


@dataclass(frozen=True)
class DumpRestorePlan:
    """An archive of one database, of PostgreSQL `major`, begun at `taken_at`, and where to restore it.

    `checksums`: whether production's pages have them, as recorded; None: unknown. With `roles` these are made
    first, and owners and grants are kept; the superuser is theirs. Without, owners, grants
    and tablespaces are left out: the archive of one database does not hold them.
    """

    archive: Path
    destination: Destination
    major: int
    taken_at: dt.datetime
    roles: ClusterDump | None = None
    checksums: bool | None = None
    progress: Progress = no_progress


@contextmanager
def restore_dump(plan: DumpRestorePlan) -> Iterator[RestoredServer]:
    """Restore `plan.archive` into its database of a new cluster; on leaving, stop the server and remove all of it.

    Raises BackupDamaged when roles or database cannot be restored, Inconclusive when the new server does not come up.
    """
    watch = Stopwatch()
    superuser = plan.roles.superuser if plan.roles else "postgres"
    destination = replace(plan.destination, superuser=superuser)
    with ExitStack() as stack:
        server = stack.enter_context(_new_cluster(plan, destination))
        watch.end("initdb")
        _load(plan, destination, server)
        to_target_s = watch.end("recover")
        plan.progress("recover", 1, 1)
        probe_writes(server)
        to_read_write_s = watch.end("probe")
        yield RestoredServer(
            dsn=server.dsn(destination.dbname),
            host=str(destination.socket_dir),
            port=destination.port,
            backup=None,
            target_time=plan.taken_at,
            recovered_to=plan.taken_at,
            replayed=0,
            timeline=1,
            to_target_s=to_target_s,
            to_read_write_s=to_read_write_s,
            durations=watch.durations,
            log=destination.log_file,
            server=server,
        )


@contextmanager
def _new_cluster(plan: DumpRestorePlan, destination: Destination) -> Iterator[Server]:
    """An empty cluster in folders of its own, started; removed afterwards."""
    data_dir, socket_dir = destination.data_dir, destination.socket_dir
    account = unprivileged()
    tools = for_account(find_tools(plan.major), account, data_dir.parent)
    with ExitStack() as stack:
        for folder in (socket_dir, data_dir, destination.tablespaces):
            stack.enter_context(private_folder(folder, account, apart_from=(plan.archive,)))
        cluster = ("-D", data_dir, "-U", destination.superuser, "-A", "trust", "-E", "UTF8", "--no-sync")
        checksums = _checksum_option(plan)
        tools.succeed("initdb", *cluster, *checksums, timeout_s=_START_S, account=account)
        write_files(data_dir, ACCESS, account)
        settings = private_settings(data_dir=data_dir, socket_dir=socket_dir, port=destination.port)
        server = stack.enter_context(destination.server(tools, account, settings))
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=_START_S, what=say("start of the new server"))
        yield server


def _checksum_option(plan: DumpRestorePlan) -> tuple[str, ...]:
    if plan.checksums:
        return ("--data-checksums",)
    return ("--no-data-checksums",) if plan.checksums is False and plan.major >= _CHECKSUMS_BY_DEFAULT else ()


def _create_database(server: Server, archive: Path, dbname: str, *, tablespaces: bool) -> None:
    """Make the database with encoding, locale and provider as the archive records them.

    Raises Inconclusive where this machine has no such locale.
    """
    options = template_options(server.tools, archive, tablespaces=tablespaces)
    for statement in (
        f"DROP DATABASE IF EXISTS {quoted(dbname)}",
        f"CREATE DATABASE {quoted(dbname)} WITH {options}",
    ):
        done = server.psql(statement, dbname="template1", timeout_s=_START_S)
        if done.exit_code != 0:
            raise fault_of(
                done.first_error,
                say(
                    "pg_restore {archive}: {statement}: {first_error}",
                    archive=archive,
                    statement=statement,
                    first_error=done.first_error,
                ),
                BackupDamaged,
            )


def _load(plan: DumpRestorePlan, destination: Destination, server: Server) -> None:
    """Make roles and database, and let pg_restore fill it. Raises BackupDamaged with the first error."""
    archive, roles, dbname = plan.archive, plan.roles, destination.dbname
    where = ("-h", server.socket_dir, "-p", str(server.port), "-U", server.superuser)
    if roles is not None:
        _make_roles(server, roles, destination)
    _create_database(server, archive, dbname, tablespaces=roles is not None)
    without = () if roles else ("--no-owner", "--no-privileges", "--no-tablespaces")
    options = (*without, "--exit-on-error", "-j", str(os.cpu_count() or 1))
    plan.progress("recover", 0, 1)
    done = server.tools.run("pg_restore", *where, "-d", dbname, *options, archive, timeout_s=_HOURS_S)
    if done.exit_code != 0:
        first = next((line for line in done.stderr.splitlines() if "error: " in line), done.last_line)
        hint = "" if roles or not _ROLE_MISSING.search(first) else _NAME_ROLES
        raise fault_of(
            first,
            say(
                "pg_restore {archive}: {first} (exit {exit_code}){hint}",
                archive=archive,
                first=first,
                exit_code=done.exit_code,
                hint=hint,
            ),
            BackupDamaged,
        )
    if roles is not None:
        _set_database_properties(server, archive, destination)


def _make_roles(server: Server, roles: ClusterDump, destination: Destination) -> None:
    data_dir = destination.data_dir
    for number in range(roles.tablespaces):
        folder = destination.tablespaces / str(number)
        folder.mkdir(mode=0o700)
        if server.account is not None:
            os.chown(folder, server.account.uid, server.account.gid)
    with _private_file(data_dir, roles.with_tablespaces_in(destination.tablespaces), server) as path:
        run_sql(server, path, server.maintenance, existing=roles.superuser, origin=roles.path.name)
    require_links_inside(data_dir)


def _set_database_properties(server: Server, archive: Path, destination: Destination) -> None:
    """Give the database its owner, grants and settings: pg_restore does that only to one that it makes itself."""
    dbname, data_dir = destination.dbname, destination.data_dir
    listed = server.tools.succeed("pg_restore", "--create", "--list", archive).stdout
    if f";     dbname: {dbname}\n" not in listed:
        return
    with _private_file(data_dir, "\n".join(_OF_DATABASE.findall(listed)) + "\n", server) as wanted:
        script = server.tools.succeed("pg_restore", "--create", "--use-list", wanted, "--file", "-", archive).stdout
    with _private_file(data_dir, "\n".join(_ON_DATABASE.findall(script)) + "\n", server) as path:
        run_sql(server, path, dbname, origin=f"{archive.name}, properties of the database")


@contextmanager
def _private_file(data_dir: Path, content: str, server: Server) -> Iterator[Path]:
    write_files(data_dir, {_SQL_FILE: content}, server.account)
    try:
        yield data_dir / _SQL_FILE
    finally:
        (data_dir / _SQL_FILE).unlink()
