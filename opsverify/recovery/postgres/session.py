"""Session on the server that a drill restored, as its superuser, through psycopg."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict

from opsverify.probes.libpq import open_connection
from opsverify.probes.postgres_connection import TEXT_FORM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ERRORS: Final = psycopg.Error
"""The exception that `rows` raises for a statement that fails."""


RESTART_S: Final = 60.0
"""How long a server may take to start again after one of its processes was ended by what it read."""
_EVERY_S: Final = 0.2


def codec_of(**where: Any) -> str:  # noqa: ANN401 - libpq's parameters
    """Python's name for the encoding of a database; UTF-8 where Python lacks it, or the database cannot be asked."""
    try:
        with open_connection(**where) as connection:
            connection.execute("SELECT set_config('client_encoding', getdatabaseencoding(), false)")
            return connection.info.encoding
    except psycopg.Error:
        return "utf-8"


class RestoredSession:
    """A session in which every value has the text form that it has in the target's own probe.

    `revive` starts the server where it has ended; `losses` counts statements during which the session was lost.
    """

    def __init__(
        self, dsn: str, dbname: str, search_path: str | None = None, revive: Callable[[], None] = lambda: None
    ) -> None:
        settings = TEXT_FORM | ({"search_path": search_path} if search_path is not None else {})
        options = " ".join(f"-c {name}={value.replace(' ', '')}" for name, value in settings.items())
        given = conninfo_to_dict(dsn).get("options") or ""
        self._open = partial(
            open_connection, dsn, dbname=dbname, autocommit=True, options=f"{given} {options} -c client_encoding=UTF8"
        )
        self._connection = self._open()
        self._revive = revive
        self.losses = 0

    def rows(self, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Rows of one statement, none for a statement without a result. Raises `ERRORS`.

        A damaged page can end the server's process: the session is opened anew, so that what is asked next is answered.
        """
        if self._connection.closed:
            self._connection = self._reopened()
        try:
            cursor = self._connection.execute(sql.encode(), dict(parameters) or None)
        except psycopg.Error:
            self.losses += self._connection.closed
            raise
        return cursor.fetchall() if cursor.description else []

    def _reopened(self) -> psycopg.Connection[Any]:
        self._revive()
        end = time.monotonic() + RESTART_S
        while True:
            try:
                return self._open()
            except psycopg.OperationalError:  # it starts again, and replays its own WAL
                if time.monotonic() > end:
                    raise
                time.sleep(_EVERY_S)

    def close(self) -> None:
        """Close the session, so that the server can be stopped."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
