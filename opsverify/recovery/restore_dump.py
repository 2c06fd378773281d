"""Restore an archive of pg_dump into a new server of its own that can touch nothing else."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from opsverify.recovery.adapters.source import BackupDamaged
from opsverify.recovery.copy import private_folder
from opsverify.recovery.restore import RestoredServer, probe_write, write_files
from opsverify.recovery.server import Server
from opsverify.recovery.settings import ACCESS, private_settings
from opsverify.recovery.tools import find_tools, for_account, unprivileged

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_HOURS_S: Final = 4 * 3600.0
_START_S: Final = 60.0


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
    superuser: str = "postgres",
) -> Iterator[RestoredServer]:
    """Restore `archive` into the database `dbname` of a new cluster in `data_dir`; on leaving, remove all of it.

    Owners and grants are left out: the archive of one database does not hold the roles. Raises BackupDamaged
    when pg_restore fails, Inconclusive when the new server does not come up.
    """
    began = time.monotonic()
    account = unprivileged()
    tools = for_account(find_tools(major), account, data_dir.parent)
    with ExitStack() as stack:
        stack.enter_context(private_folder(socket_dir, account, apart_from=(archive,)))
        stack.enter_context(private_folder(data_dir, account, apart_from=(archive,)))
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
        if dbname != "postgres":
            tools.succeed("createdb", *where, "-T", "template0", dbname)
        options = ("--no-owner", "--no-privileges", "--exit-on-error", "-j", str(os.cpu_count() or 1))
        progress("recover", 0, 1)
        done = tools.run("pg_restore", *where, "-d", dbname, *options, archive, timeout_s=_HOURS_S)
        if done.exit_code != 0:
            first = next((line for line in done.stderr.splitlines() if "error: " in line), done.last_line)
            raise BackupDamaged(f"pg_restore {archive}: {first} (exit {done.exit_code})")
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
