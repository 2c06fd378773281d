"""Session on the server that a drill restored, as its superuser, through psycopg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict

from opsverify.probes.libpq import open_connection
from opsverify.probes.postgres_connection import TEXT_FORM

if TYPE_CHECKING:
    from collections.abc import Mapping

ERRORS: Final = psycopg.Error
"""The exception that `rows` raises for a statement that fails."""


class RestoredSession:
    """A session in which every value has the text form that it has in the target's own probe."""

    def __init__(self, dsn: str, dbname: str, search_path: str | None = None) -> None:
        settings = TEXT_FORM | ({"search_path": search_path} if search_path else {})
        options = " ".join(f"-c {name}={value.replace(' ', '')}" for name, value in settings.items())
        given = conninfo_to_dict(dsn).get("options") or ""
        self._connection = open_connection(
            dsn, dbname=dbname, autocommit=True, options=f"{given} {options} -c client_encoding=UTF8"
        )

    def rows(self, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Rows of one statement, none for a statement without a result. Raises `ERRORS`."""
        cursor = self._connection.execute(sql.encode(), dict(parameters) or None)
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Close the session, so that the server can be stopped."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
