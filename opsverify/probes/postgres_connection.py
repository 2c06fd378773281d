"""PostgreSQL connection: opened, limited in time on both ends, and its failures explained."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import psycopg

from opsverify.errors import Inconclusive, Peer, Unreachable
from opsverify.language.message import join, say
from opsverify.probes.libpq import RefusedConnection, open_connection, sqlstate_of_refusal
from opsverify.probes.postgres_refusal import is_known, refusal
from opsverify.probes.postgres_state import OLDEST_MAJOR
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.config.database import PostgresConfig
    from opsverify.language.message import Message

Connection: TypeAlias = psycopg.Connection[Any]

TEXT_FORM: Final = {
    "standard_conforming_strings": "on",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
}
"""Settings on which the text form of a value depends, or how a statement is read: the same here and in a rehearsal."""

_NO_TLS = (
    "does not support SSL",
    "SSL error",
    "root certificate file",
    "does not match host name",
    "SSL was required",
    "certificate verify failed",
)
"""Messages of libpq about TLS, not about a server that is down."""
_GOING_AWAY = ("08", "57P", "53300")
"""SQLSTATEs (or their beginnings) of a server that is lost, stopping, starting or full."""
OUT_OF_SERVICE = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable)


class TimedOut(psycopg.OperationalError):
    """No answer until the probe cut the connection."""


def where(config: PostgresConfig) -> str:
    """Name of a database in messages."""
    return f"PostgreSQL {config.host}:{config.port}/{config.dbname}"


def connect(config: PostgresConfig, user: str, password: str | None) -> Connection:
    """Open a connection; raises psycopg.Error."""
    given: dict[str, Any] = {
        "host": config.host, "port": config.port, "dbname": config.dbname, "user": user, "password": password,
        "sslmode": config.sslmode, "connect_timeout": config.connect_timeout_s, "application_name": "opsverify",
    }  # fmt: skip
    try:
        # A pooler gives each transaction another server: what was prepared on one does not exist on the next.
        return open_connection(**given, prepare_threshold=None)
    except psycopg.OperationalError as error:
        if is_known(str(error)) or (state := sqlstate_of_refusal(config.connect_timeout_s, **given)) is None:
            raise
        raise RefusedConnection(str(error), state) from error


def limit_time(cursor: psycopg.Cursor[Any], config: PostgresConfig, search_path: str | None = None) -> None:
    """Limit the statements of the current transaction on the server; `search_path` None: the role's own."""
    limit = str(round(config.statement_timeout_s * 1000))
    settings = {"statement_timeout": limit, "lock_timeout": limit, **TEXT_FORM}
    if search_path is not None:
        settings["search_path"] = search_path
    columns = ", ".join(f"set_config('{name}', %s, true) AS {name}" for name in settings)
    cursor.execute(f"SELECT {columns}".encode(), list(settings.values()))


@contextmanager
def bounded(connection: Connection, config: PostgresConfig) -> Iterator[None]:
    """Cut the connection when a server fails to carry out its own timeouts (hung storage, lost network)."""
    cut = threading.Event()

    def cut_off() -> None:
        cut.set()
        with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Timer(config.statement_timeout_s + config.connect_timeout_s, cut_off)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except psycopg.OperationalError as error:
        if cut.is_set():
            raise TimedOut("connection cut after the timeout") from error
        raise
    finally:
        watchdog.cancel()
        watchdog.join()


def explain(error: psycopg.Error, config: PostgresConfig, major: int | None = None) -> Inconclusive:
    """Turn an error of psycopg into its outcome, with a message of one line; `major` is the server's, where known."""
    reason = _without_place(one_line(error.diag.message_primary or error), config)
    if isinstance(error, (*OUT_OF_SERVICE, TimedOut)):
        return Unreachable(
            say(
                "{where}: no answer within {statement_timeout_s:g} s ({reason}); check for locks and slow storage",
                where=where(config),
                statement_timeout_s=config.statement_timeout_s,
                reason=reason,
            ),
            by_clock=isinstance(error, TimedOut),  # the others are of the server's own clock
            peers=_peers(config),
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return Inconclusive(
            say(
                "{where}: {reason}; grant {user} the right to read it",
                where=where(config),
                reason=reason,
                user=config.login.user,
            )
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        if any(phrase in reason for phrase in _NO_TLS):
            return Unreachable(
                say(
                    '{where}: no connection with sslmode = "{sslmode}" ({reason}); give the server a '
                    "certificate that is trusted here, or set sslmode of this database in the target "
                    '("disable": no TLS)',
                    where=where(config),
                    sslmode=config.sslmode,
                    reason=reason,
                )
            )
        if (refused_role := refusal(error.sqlstate, reason, config, where(config))) is not None:
            return refused_role
        if error.sqlstate is None or error.sqlstate.startswith(_GOING_AWAY):
            return Unreachable(
                say(
                    "{where}: no connection ({reason}); check that the server is up, and its host and port",
                    where=where(config),
                    reason=reason,
                ),
                by_clock=isinstance(error, psycopg.errors.ConnectionTimeout),
                peers=_peers(config),
            )
    refused = say(
        "{where}: statement refused ({reason}); check it against the database's schema",
        where=where(config),
        reason=reason,
    )
    return Inconclusive(join("; ", (refused, old)) if (old := too_old(major)) else refused)


def too_old(major: int | None) -> Message | None:
    """Why statements of the library are refused by a server of this major version; None where they are not."""
    if major is None or major >= OLDEST_MAJOR:
        return None
    return say(
        "PostgreSQL {major} is older than {oldest}, the oldest whose catalog is known here: what needs it holds until "
        "the server is upgraded",
        major=major,
        oldest=OLDEST_MAJOR,
    )


def _peers(config: PostgresConfig) -> tuple[Peer, ...]:
    """Every host that libpq tries; none where one is a socket of this machine."""
    hosts = config.host.split(",")
    return () if any(host[:1] in ("", "/", "@") for host in hosts) else tuple(Peer(host, config.port) for host in hosts)


def _without_place(reason: str, config: PostgresConfig) -> str:
    """What libpq says, without the host and port that every message here begins with."""
    place = f'connection to server at "{config.host}", port {config.port} failed: '
    return reason.removeprefix("connection failed: ").replace(place, "")
