"""Libpq connections: whatever a caller does not give has libpq's own default, never the environment's value."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from opsverify.probes.environment import plain_process

NO_FILE: Final = "/dev/null/none"
"""A password file that cannot exist: a password that the target does not name is not used."""

_AS_TEXT: Final = {"client_encoding": "UTF8"}
"""A database in SQL_ASCII would send bytes otherwise, also for the names of its tables."""


def pinned() -> dict[str, str]:
    """Every parameter of libpq that has a default of its own, at that default."""
    defaults = {
        option.keyword.decode(): option.compiled.decode()
        for option in psycopg.pq.Conninfo.get_defaults()
        if option.envvar and option.compiled
    }
    return defaults | {"passfile": NO_FILE}


def open_connection(conninfo: str = "", **given: Any) -> psycopg.Connection[Any]:  # noqa: ANN401 - libpq's parameters
    """Open a connection with `given` (over `conninfo`); raises psycopg.Error.

    Parameters without a default of their own (`hostaddr`, `service`) cannot be pinned by a value: libpq would take
    the empty one for a value. The variables that hold them are out of sight while the connection is made.
    """
    known = psycopg.conninfo.conninfo_to_dict(conninfo)
    with plain_process():
        return psycopg.connect(**{**pinned(), **_AS_TEXT, **known, **given})
