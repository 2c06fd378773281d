"""Refusal of a PostgreSQL login: a server that is up, or a pooler in front of it, does not let this role in.

That tells nothing of the platform: another role may be served well. Any other refusal (no room for any client, a
server that starts or stops) is no answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive, LoginRefused
from opsverify.language.message import say

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


def is_known(text: str) -> bool:
    """Whether what libpq says of a refused connection tells what it means: libpq's own words, or known ones."""
    return any(phrase in text for phrase in _REFUSED) or not _SERVER_WROTE.search(text)


def refusal(sqlstate: str | None, reason: str, config: PostgresConfig, where: str) -> Inconclusive | None:
    """Why this role was refused, and what to correct; None for any other failure. `reason` is what the server wrote."""
    state = sqlstate or ""
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
