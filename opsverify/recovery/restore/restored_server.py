"""Restored server: where it is set up, how it is started, and what is known of it once it accepts writes."""

from __future__ import annotations

import shutil
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from opsverify.errors import NotRestorable
from opsverify.language.message import say
from opsverify.recovery.backup.tablespaces import TABLESPACES
from opsverify.recovery.postgres.catalog_files import databases, superusers
from opsverify.recovery.postgres.server import Server
from opsverify.recovery.restore.overrides import overrides, session_options

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup
    from opsverify.recovery.postgres.tools import Account, Tools

Progress: TypeAlias = "Callable[[str, int, int], None]"
"""Called with the stage, done and total: bytes in `copy` and `recover` (total 0 while it is unknown), else steps."""

_AUTO: Final = "postgresql.auto.conf"
"""The last of PostgreSQL's own files of settings."""
_WRITE_PROBE: Final = "BEGIN; CREATE TABLE opsverify_write_probe (); DROP TABLE opsverify_write_probe; ROLLBACK"


@dataclass(frozen=True)
class Destination:
    """Folders, port and settings of a server to restore to; nothing else of the machine is touched.

    `data_dir` and `socket_dir` must be absent or empty; tablespaces go into the folder `tablespaces` beside
    `data_dir`. `settings` overrule the backup's configuration (smaller memory, say). The server's log goes to `log`,
    which stays, or else into `data_dir`.
    """

    data_dir: Path
    socket_dir: Path
    port: int
    superuser: str = "postgres"
    dbname: str = "postgres"
    settings: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None

    @property
    def tablespaces(self) -> Path:
        """The folder that holds all tablespaces."""
        return self.data_dir.with_name(TABLESPACES)

    @property
    def log_file(self) -> Path:
        """The server's log."""
        return self.log or self.data_dir / "opsverify.log"

    def server(self, tools: Tools, account: Account | None, required: Mapping[str, str]) -> Server:
        """Return a server, not started, with `required` settings, its own over them, and archiving off in any case."""
        return Server(
            tools,
            self.data_dir,
            {**overrides(tools.major), **required, **self.settings, "archive_mode": "off"},
            account=account,
            socket_dir=self.socket_dir,
            port=self.port,
            superuser=self.superuser,
            log=self.log_file,
            superusers=superusers(self.data_dir, tools.major),
            databases=(self.dbname, *databases(self.data_dir, tools.major)),
            options=session_options(tools.major),
        )


@dataclass(frozen=True)
class RestoredServer:
    """A database as it was at the recovery target, promoted and accepting writes.

    `recovered_to` is the time of the last restored commit, None when there was none between backup and target;
    `backup` is None where an archive of pg_dump was restored; `replayed` is the WAL read for it, in bytes;
    `overridden` are lines of the backup's configuration that the drill did not take over;
    `durations` are seconds for each stage, `to_target_s` and `to_read_write_s` seconds from the start.
    """

    dsn: str
    host: str
    port: int
    backup: BaseBackup | None
    target_time: dt.datetime
    recovered_to: dt.datetime | None
    replayed: int
    timeline: int
    to_target_s: float
    to_read_write_s: float
    durations: Mapping[str, float]
    log: Path
    server: Server = field(repr=False)
    overridden: tuple[str, ...] = ()


class Stopwatch:
    """Seconds that each stage of a restore took, from the end of the one before; `durations` in their order."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self.durations: dict[str, float] = {}

    def end(self, stage: str) -> float:
        """End `stage` now; seconds since the restore began."""
        now = time.monotonic()
        self.durations[stage] = now - self._last
        self._last = now
        return now - self._began


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of loopback for a server to listen on, which no other process is given until the end.

    Its socket is bound and does not listen: so may a server that asks for the port by name and sets SO_REUSEADDR, as
    PostgreSQL does. A copy of hours lies between the choice and its start.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Progress for callers that show none."""


def write_files(data_dir: Path, files: Mapping[str, str], account: Account | None) -> None:
    """Write `files` (name, content) into `data_dir`, private to `account`."""
    for name, content in files.items():
        path = data_dir / name
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600)
        if account is not None:
            shutil.chown(path, account.uid, account.gid)


def without_syncing(server: Server, data_dir: Path) -> None:
    """Let `server` leave writing to disk to the system: it is examined and thrown away, and its times were measured."""
    if not (data_dir / _AUTO).exists():
        write_files(data_dir, {_AUTO: ""}, server.account)
    with (data_dir / _AUTO).open("ab") as file:
        file.write(b"\nfsync = off\n")
    server.rows("SELECT pg_reload_conf()")


def probe_writes(server: Server) -> None:
    """Write something and roll it back. Raises NotRestorable when the restored server refuses."""
    probe = server.psql(_WRITE_PROBE)
    if probe.exit_code != 0:
        raise NotRestorable(say("the restored server does not accept writes: {line}", line=probe.last_line))
