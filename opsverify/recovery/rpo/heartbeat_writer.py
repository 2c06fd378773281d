"""The heartbeat's writer: one small commit after another, each noted outside the database once acknowledged."""

from __future__ import annotations

import datetime as dt
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.probes.postgres_connection import bounded, connect, explain, limit_time
from opsverify.recovery.rpo.heartbeat_log import Beat, HeartbeatLog
from opsverify.recovery.wal.lsn import parse_lsn
from opsverify.units import parse_duration

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from opsverify.config.database import PostgresConfig
    from opsverify.config.recovery import Heartbeat

_TIDY_EVERY = 600
"""Beats from one removal of old rows to the next."""
_BEAT = "INSERT INTO {} (number, at) VALUES (%s, clock_timestamp()) RETURNING at, pg_current_xact_id()::text"
_WHERE = "SELECT substr(pg_walfile_name(lsn), 1, 8), lsn::text FROM pg_current_wal_insert_lsn() AS lsn"
_NEWEST = "SELECT coalesce(max(number), 0) FROM {}"
_TIDY = "DELETE FROM {} WHERE at < clock_timestamp() - make_interval(secs => %s)"


@dataclass
class Writer:
    """Writes beats; waits for an unavailable database; the numbers continue after the last one noted."""

    heartbeat: Heartbeat
    postgres: PostgresConfig
    password: str | None
    say: Callable[[str], object] = sys.stderr.write

    def __post_init__(self) -> None:
        self.log = HeartbeatLog(Path(self.heartbeat.log))
        self._table = sql.Identifier(*self.heartbeat.table.split("."))
        self._connection: psycopg.Connection[Any] | None = None
        self._number = 0
        self._silent = False

    def run(self, stop: threading.Event, beats: int | None = None) -> None:
        """Beat until `stop` is set, or `beats` were acknowledged. Raises EvidenceError when the log cannot."""
        self.log.repair()
        done, due = 0, time.monotonic()
        try:
            while not stop.is_set() and done != beats:
                done += self._try()
                # Beats that were due while the database was away are not made up for.
                due = max(due + self.heartbeat.every_s, time.monotonic())
                if done != beats:
                    stop.wait(due - time.monotonic())
        finally:
            self._leave()

    def _try(self) -> bool:
        try:
            beat = self._beat()
        except psycopg.Error as error:
            self._leave()
            if not self._silent:
                self.say(f"opsverify: heartbeat silent: {explain(error, self.postgres)}\n")
            self._silent = True
            return False
        self.log.append(beat)
        if self._silent:
            self.say(f"opsverify: heartbeat goes on with beat {beat.number}\n")
        self._silent = False
        return True

    def _beat(self) -> Beat:
        """Commit one beat and return it, once it is acknowledged. Raises psycopg.Error."""
        connection = self._connected()
        number = self._number + 1
        with bounded(connection, self.postgres), connection.cursor() as cursor:
            with connection.transaction():
                limit_time(cursor, self.postgres)
                at, transaction = self._one(cursor, sql.SQL(_BEAT).format(self._table), number)
                if number % _TIDY_EVERY == 0:
                    cursor.execute(sql.SQL(_TIDY).format(self._table), (parse_duration(self.heartbeat.keep),))
            # From here on the commit is acknowledged.
            self._number = number
            timeline, lsn = self._one(cursor, sql.SQL(_WHERE))
        return Beat(number, int(timeline, 16), parse_lsn(lsn), int(transaction), at.astimezone(dt.UTC))

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            connection = connect(self.postgres, self.heartbeat.login.user, self.password)
            connection.autocommit = True
            self._connection = connection
            (newest,) = self._one(connection.cursor(), sql.SQL(_NEWEST).format(self._table))
            # After a recovery the table is behind the log: a number is never given twice.
            self._number = max(int(newest), self._number, self._last_noted())
        return self._connection

    def _last_noted(self) -> int:
        try:
            noted = self.log.read()
        except Inconclusive:
            return 0
        return noted[-1].number if noted else 0

    @staticmethod
    def _one(cursor: psycopg.Cursor[Any], statement: sql.SQL | sql.Composed, *values: object) -> tuple[Any, ...]:
        row = cursor.execute(statement, values or None).fetchone()
        if row is None:
            raise psycopg.DataError(say("a statement of the heartbeat gave no row"))
        return tuple(row)

    def _leave(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
        self._connection = None
