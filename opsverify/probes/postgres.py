"""PostgreSQL probe: a role that may only read, through psycopg."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

from opsverify.errors import Inconclusive, LoginRefused, Unreachable
from opsverify.language.message import say
from opsverify.probes import postgres_state as state
from opsverify.probes.base import Probe
from opsverify.probes.local_timer import Elapsed, LocalTimer
from opsverify.probes.postgres_connection import (
    OUT_OF_SERVICE,
    Connection,
    TimedOut,
    bounded,
    connect,
    explain,
    limit_time,
    where,
)
from opsverify.probes.record import Record, discard
from opsverify.probes.text import one_line, table

if TYPE_CHECKING:
    from opsverify.config.database import Migration, PostgresConfig

Row: TypeAlias = Any  # a namedtuple whose fields are the columns of its statement


@dataclass(frozen=True, slots=True)
class Timed:
    """Rows, and the seconds of the statement, without connecting."""

    rows: tuple[Row, ...]
    elapsed_s: Elapsed


@dataclass(slots=True)
class _Session:
    """One connection, shared by all views of a probe; `used` says that it has answered before.

    `refused` is why the login was refused: it is not tried again, which might lock the account.
    """

    connection: Connection | None = None
    used: bool = False
    major: int | None = None
    refused: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Postgres(Probe):
    """Statements in READ ONLY transactions of their own, limited in time; values out, nothing asserted."""

    def __init__(self, config: PostgresConfig, password: str | None = None, record: Record = discard) -> None:
        super().__init__(record)
        self._config = config
        self._password = password
        self._session = _Session()
        self._search_path: str | None = None

    def on_path(self, search_path: str) -> Self:
        """The same session, with names as this `search_path` shows them, whatever the role or server has."""
        other = copy.copy(self)
        other._search_path = search_path  # noqa: SLF001 - another one of this class
        return other

    def rows(self, statement: str, **params: object) -> tuple[Row, ...]:
        """Return all rows of one statement as namedtuples; with parameters (`%(name)s`) a percent is `%%`.

        Raises Unreachable when there is no answer in time, Inconclusive when the statement is refused.
        """
        return self.timed(statement, **params).rows

    def row(self, statement: str, **params: object) -> Row:
        """Return the one row of a statement; Inconclusive if there are fewer or more."""
        rows = self.rows(statement, **params)
        if len(rows) != 1:
            raise Inconclusive(
                say(
                    "{where}: {count} rows, expected 1, from: {statement}",
                    where=self._where,
                    count=len(rows),
                    statement=one_line(statement),
                )
            )
        return rows[0]

    def value(self, statement: str, **params: object) -> Any:  # noqa: ANN401 - SQL decides the type
        """Return the only column of the only row of a statement."""
        row = self.row(statement, **params)
        if len(row) != 1:
            raise Inconclusive(
                say(
                    "{where}: {count} columns, expected 1, from: {statement}",
                    where=self._where,
                    count=len(row),
                    statement=one_line(statement),
                )
            )
        return row[0]

    def timed(self, statement: str, **params: object) -> Timed:
        """Return as `rows`, with the time it took."""
        with self._session.lock:
            try:
                return self._run(statement, params)
            except _Stale:
                # The server closed a connection that had been idle between checks; reading twice is harmless.
                return self._run(statement, params)

    def server(self) -> state.ServerState:
        """Return version, role in replication, use of connections."""
        found = self.row(state.SERVER)
        read_only = found.read_only
        if read_only is None and found.may_read_files:
            read_only = self.value(state.READ_ONLY_IN_FILES)
        return state.ServerState(
            found.version,
            found.in_recovery,
            read_only,
            found.max_connections,
            found.connections_used,
            found.started_at,
        )

    def replicas(self) -> tuple[state.Replica, ...]:
        """List connected replicas. Raises Inconclusive where the role may not see their state."""
        rows = self.rows(state.REPLICAS)
        if any(row.state is None for row in rows):
            raise Inconclusive(
                say(
                    "{where}: {user} may not see replicas; GRANT pg_monitor to it",
                    where=self._where,
                    user=self._config.login.user,
                )
            )
        return tuple(state.Replica(*row) for row in rows)

    def archiver(self) -> state.Archiver:
        """Return the state of WAL archiving."""
        return state.Archiver(*self.row(state.ARCHIVER))

    def waiting_segments(self) -> state.WaitingSegments:
        """Return how many WAL segments wait to be archived. Raises Inconclusive without the right to see them."""
        try:
            return state.WaitingSegments(*self.row(state.WAITING))
        except Unreachable:
            raise
        except Inconclusive as error:
            user = self._config.login.user
            raise Inconclusive(
                say(
                    "{where}: {user} may not see waiting segments; GRANT pg_monitor to it ({error})",
                    where=self._where,
                    user=user,
                    error=error,
                )
            ) from error

    def rights(self) -> state.Rights:
        """Return what the role may do."""
        return state.Rights(*self.row(state.RIGHTS))

    def revision(self, migration: Migration) -> str:
        """The revision that the database is at: by the target's own query, else by Alembic's table.

        Raises Inconclusive where there is none.
        """
        if migration.query is None:
            return self.migration(migration.table)
        found = self.value(migration.query)
        if found is None:
            raise Inconclusive(
                say("{where}: postgres.migration.query gave no revision; run the migrations", where=self._where)
            )
        return str(found)

    def migration(self, table_name: str) -> str:
        """Return the revision in Alembic's table, several separated by commas; Inconclusive if none."""
        name = sql.Identifier(*table_name.split(".")).as_string(None)
        revisions = sorted(row.version_num for row in self.rows(f"SELECT version_num FROM {name}"))  # noqa: S608 - quoted
        if not revisions:
            raise Inconclusive(
                say(
                    "{where}: {table_name} holds no revision; run the migrations",
                    where=self._where,
                    table_name=table_name,
                )
            )
        return ", ".join(revisions)

    def close(self) -> None:
        """Close the connection; the probe may be used again."""
        if self._session.connection is not None:
            self._session.connection.close()
        self._session.connection = None
        self._session.used = False

    @property
    def major(self) -> int | None:
        """The server's major version; None before it has answered."""
        return self._session.major

    @property
    def _where(self) -> str:
        return where(self._config)

    def _run(self, statement: str, params: dict[str, object]) -> Timed:
        request = f"{self._where}\n{statement.strip()}\n{f'parameters: {params}' if params else ''}".rstrip()
        name = f"SQL {one_line(statement)[:60]}"
        if self._session.refused is not None:
            raise LoginRefused(self._session.refused)
        try:
            connection = self._connected()
            with (
                bounded(connection, self._config),
                connection.transaction(),
                connection.cursor() as cursor,
            ):
                limit_time(cursor, self._config, self._search_path)
                watch = LocalTimer()
                # Streaming uses the extended protocol, in which a text can hold one statement only: none can
                # end the READ ONLY transaction and continue.
                rows = tuple(cursor.stream(statement.encode(), params or None))
                elapsed = watch.elapsed_s
                columns = [column.name for column in cursor.description or ()]
        except psycopg.Error as error:
            stale = self._session.used and self._session.connection is not None and self._session.connection.closed
            if self._session.connection is not None and self._session.connection.closed:
                self.close()
            if stale and not isinstance(error, (*OUT_OF_SERVICE, TimedOut)):
                raise _Stale from error
            failure = explain(error, self._config, self._session.major)
            self._record(name, f"{request}\n\n{failure}")
            if isinstance(failure, LoginRefused):
                self._session.refused = str(failure)
            raise failure from error
        self._session.used = True
        self._record(name, f"{request}\n\n{table(columns, rows)}\n{elapsed * 1000:.1f} ms")
        return Timed(rows, elapsed)

    def _connected(self) -> Connection:
        if self._session.connection is None:
            connection = connect(self._config, self._config.login.user, self._password)
            connection.read_only = True
            connection.row_factory = namedtuple_row
            self._session.connection = connection
            self._session.major = connection.info.server_version // 10_000
        return self._session.connection


class _Stale(Exception):  # noqa: N818 - a turn of control flow inside this module
    """A connection that had answered before was found closed."""
