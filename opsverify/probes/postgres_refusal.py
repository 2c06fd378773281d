"""Refusal of a PostgreSQL login: a server that is up, or a pooler in front of it, does not let this role in.

That tells nothing of the platform: another role may be served well. Any other refusal (no room for any client, a
server that starts or stops) is no answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import psycopg

from opsverify.errors import Inconclusive, LoginRefused
from opsverify.language.message import say
from opsverify.probes.libpq import sqlstate_of_refusal

if TYPE_CHECKING:
    from opsverify.config.database import PostgresConfig

_NO_DATABASE: Final = re.compile(r'database ".*" does not exist|no such database: ')
_NO_ROOM: Final = "too many connections for role"
_BY_STATEMENT: Final = "transaction blocks not allowed in statement pooling mode"
_REFUSED: Final = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "no password",
    "not permitted to log in",
    _NO_ROOM,
    # PgBouncer's own: a database that its file does not list, a client that auth_hba_file turns away.
    "no such database",
    "no such user",
    "login rejected",
    _BY_STATEMENT,
)
"""What servers write in English: libpq gives no SQLSTATE here."""
_SERVER_WROTE: Final = re.compile(r"failed: [^\s:]+:  ")
"""How libpq quotes a server: its word for FATAL, in its own language, and two spaces. libpq's own texts are others."""


class RefusedConnection(psycopg.OperationalError):
    """A refused connection whose SQLSTATE was asked for."""

    def __init__(self, text: str, sqlstate: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


def with_sqlstate(error: psycopg.OperationalError, timeout_s: float, **given: object) -> psycopg.OperationalError:
    """`error` of a connection with the parameters `given`; with a SQLSTATE where a server wrote what is not known."""
    text = str(error)
    if any(phrase in text for phrase in _REFUSED) or not _SERVER_WROTE.search(text):
        return error
    state = sqlstate_of_refusal(timeout_s, **given)
    return RefusedConnection(text, state) if state is not None else error


def refusal(error: psycopg.Error, reason: str, config: PostgresConfig, where: str) -> Inconclusive | None:
    """Why this role was refused, and what to correct; None for any other failure. `reason` is what the server wrote."""
    state = error.sqlstate or ""
    if state.startswith("3D") or _NO_DATABASE.search(reason):
        return LoginRefused(say("{where}: no such database ({reason}); correct its dbname", where=where, reason=reason))
    if _NO_ROOM in reason:  # this may pass, unlike a refused login
        return Inconclusive(
            say(
                "{where}: {user} has no connection left ({reason}); raise its CONNECTION LIMIT, or run fewer workers",
                where=where,
                user=config.login.user,
                reason=reason,
            )
        )
    if _BY_STATEMENT in reason:
        return LoginRefused(
            say(
                "{where}: the pooler pools statements, and checks read in transactions ({reason}); name the server "
                "itself, or a pool with pool_mode = transaction or session",
                where=where,
                reason=reason,
            )
        )
    if state.startswith("28") or any(phrase in reason for phrase in _REFUSED):
        return LoginRefused(
            say("{where}: login refused ({reason}); check user, password and pg_hba.conf", where=where, reason=reason)
        )
    return None
