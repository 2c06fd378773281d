"""PostgreSQL cluster with WAL archiving: create, start, stop, query.

Durability against a crash of the machine is given up for speed (fsync off): the data is synthetic, and every
`up` makes a new cluster. Everything that recovery rests on (full pages, checksums, WAL archive) stays on.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

from opsverify.language.message import say
from sandbox import unprivileged
from sandbox.errors import SandboxError
from sandbox.home import DATABASE, DATABASE_USERS
from sandbox.processes import wait_until
from sandbox.servers import servers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.home import Settings
    from sandbox.processes import Table

SUPERUSER = "postgres"
STOP_FAST = signal.SIGINT
STOP_AT_ONCE = signal.SIGQUIT
_TEMPLATES = Path(__file__).parent / "templates"
_START_DEADLINE_S = 60
_HEARTBEAT: LiteralString = """
    CREATE SCHEMA opsverify;
    CREATE TABLE opsverify.heartbeat (number bigint PRIMARY KEY, at timestamptz NOT NULL);
    GRANT USAGE ON SCHEMA opsverify TO opsverify_heartbeat, opsverify_ro;
    GRANT SELECT, INSERT, DELETE ON opsverify.heartbeat TO opsverify_heartbeat;
    GRANT SELECT ON opsverify.heartbeat TO opsverify_ro;
"""


class Cluster:
    """The PostgreSQL of one sandbox; `table` keeps its server."""

    admin = SUPERUSER
    database = DATABASE
    templates = _TEMPLATES

    def __init__(self, settings: Settings, table: Table) -> None:
        self._settings = settings
        self._table = table
        self._servers = servers_of(settings, table)
        self._user = unprivileged.identity()
        self.log = settings.logs_dir / "postgres.log"
        self.data = settings.data_dir / "postgres"
        self.archive = settings.data_dir / "wal"
        self.backups = settings.data_dir / "backups"
        self.sockets = settings.data_dir / "s"
        self.port = settings.ports["postgres"]

    def create(self) -> None:
        """Make the folders and an empty cluster with its settings."""
        for folder in (self.data, self.archive, self.backups, self.sockets):
            self.own_folder(folder)
        self.run("initdb", "-D", str(self.data), "-U", SUPERUSER, "-A", "scram-sha-256", "--auth-local=trust",
                 "--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=builtin", "--wal-segsize=1",
                 "--no-sync", "--no-instructions")  # fmt: skip
        self.configure()

    def configure(self) -> None:
        """Write the configuration of this sandbox into the data folder."""
        values = {
            "port": str(self.port),
            "sockets": str(self.sockets),
            "archive_command": archive_command(self.archive),
        }
        for name in ("postgresql.conf", "pg_hba.conf"):
            text = (self.templates / name).read_text(encoding="utf-8")
            for key, value in values.items():
                text = text.replace(f"@{key}@", value.replace("'", "''"))
            self.write(self.data / name, text)

    @property
    def config(self) -> Path:
        """The server's postgresql.conf."""
        return self.data / "postgresql.conf"

    def start(self) -> None:
        """Start the server and wait until it takes connections, in recovery or not."""
        self._servers.start("postgres", "postgres", ["-D", str(self.config.parent)], log=self.log, user=self._user)
        wait_until(self.answers, _START_DEADLINE_S, say("PostgreSQL to take connections"), self.why_ended)

    def checkpoint(self) -> None:
        """Let the server write a checkpoint now."""
        with self.superuser() as connection:
            connection.execute("CHECKPOINT")

    def why_ended(self) -> str:
        """Return the last fatal line of the log of a server that does not run; '' while it runs."""
        if self._table.alive("postgres"):
            return ""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        # With no user before the @: a server process, not a client that was turned away.
        fatal = [line for line in lines if " @ FATAL" in line or " @ PANIC" in line]
        return say("{reason} (see {log})", reason=fatal[-1] if fatal else say("the server ended"), log=self.log)

    def stop(self, how: signal.Signals = STOP_FAST) -> None:
        """Stop the server; `STOP_FAST` writes a checkpoint, `STOP_AT_ONCE` is a crash."""
        self._table.stop(["postgres"], deadline_s=15, signals={"postgres": how})

    def bootstrap(self) -> None:
        """Make the roles, the database and its extensions."""
        with self.superuser("postgres") as connection:
            for name in DATABASE_USERS:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(name), sql.Literal(self._settings.secret(name))
                    )
                )
            connection.execute("CREATE ROLE judgment_auditor NOLOGIN")
            connection.execute("GRANT pg_monitor TO opsverify_ro")
            connection.execute("ALTER ROLE opsverify_ro SET default_transaction_read_only = on")
            connection.execute("ALTER ROLE opsverify_ro SET statement_timeout = '30s'")
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER judgment_owner STRATEGY file_copy").format(sql.Identifier(DATABASE))
            )
        with self.superuser() as connection:
            for extension in ("pg_stat_statements", "amcheck"):
                connection.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(extension)))
            connection.execute(_HEARTBEAT)
            # The role's own read-only default hides the server's; with this it can still see the server's.
            connection.execute("GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO opsverify_ro")

    @contextmanager
    def superuser(self, database: str | None = None) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Connect as superuser over the local socket, autocommit; may write even where others may not."""
        try:
            connection = psycopg.connect(
                host=str(self.sockets), port=self.port, user=self.admin, dbname=database or self.database,
                autocommit=True, connect_timeout=10, application_name="sandbox",
                options="-c default_transaction_read_only=off",
            )  # fmt: skip
        except psycopg.OperationalError as error:
            line = str(error).strip().splitlines()[-1]
            raise SandboxError(
                say("PostgreSQL does not take connections ({reason}); run 'sandbox status'", reason=line)
            ) from error
        with connection:
            yield connection

    def value(self, query: LiteralString) -> Any:  # noqa: ANN401 - SQL decides the type
        """Return the first column of the first row of `query`, as superuser."""
        with self.superuser() as connection:
            row = connection.execute(query).fetchone()
        return row[0] if row else None

    def alter_system(self, setting: LiteralString, value: str | None) -> None:
        """Change a setting of the running server and reload; None brings back the file's value."""
        with self.superuser() as connection:
            if value is None:
                connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(setting)))
            else:
                connection.execute(
                    sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(setting), sql.Literal(value))
                )
            connection.execute("SELECT pg_reload_conf()")

    def answers(self) -> bool:
        """Whether the server takes connections."""
        try:
            with self.superuser("template1"):
                return True
        except SandboxError:
            return False

    def run(self, tool: str, *arguments: str, timeout_s: float = 120) -> str:
        """Run one of PostgreSQL's programs as the cluster's user and return what it printed."""
        done = self._servers.run("postgres", tool, arguments, user=self._user, timeout_s=timeout_s)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [say("exit status {code}", code=done.returncode)]
            raise SandboxError(say("{tool} failed: {reason}", tool=tool, reason=lines[-1]))
        return done.stdout + done.stderr

    def own_folder(self, folder: Path) -> None:
        """Make a folder that only the cluster's user may enter."""
        folder.mkdir(mode=0o700)
        self._give(folder)

    def own_tree(self, source: Path, target: Path) -> None:
        """Copy a folder, the copy belonging to the cluster's user."""
        shutil.copytree(source, target, symlinks=True)
        for path in (target, *target.rglob("*")):
            self._give(path)
        target.chmod(0o700)

    def write(self, path: Path, text: str) -> None:
        """Write a file that belongs to the cluster's user."""
        path.write_text(text, encoding="utf-8")
        self._give(path)

    def _give(self, path: Path) -> None:
        if self._user:
            os.chown(path, *self._user, follow_symlinks=False)


def archive_command(archive: Path) -> str:
    """Return a command that gives a segment its final name once complete, and may be repeated."""
    final, part = f"{shlex.quote(str(archive))}/%f", f"{shlex.quote(str(archive))}/.%f.part"
    return f"if test -f {final}; then cmp -s %p {final}; else cp %p {part} && mv {part} {final}; fi"
