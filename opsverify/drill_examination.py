"""A drill's restored server, asked everything: as its superuser, outside of transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from opsverify.recovery import RestoredServer
    from opsverify.recovery.facts import Source
    from opsverify.recovery.returned import History
    from opsverify.recovery.returned.reread import Sampling


def examine(
    server: RestoredServer,
    dbname: str,
    data_dir: Path,
    history: History | None,
    sampling: Sampling | None,
    live: Callable[[], Source] | None,
) -> dict[str, Any]:
    """Return every answer by name, as JSON; stops the server at the end, for its checksums."""
    import psycopg  # noqa: PLC0415 - the drill's own server, not the target's: no probe of the target fits

    from opsverify.came_back import Questions, examined  # noqa: PLC0415 - only stages that restore

    with psycopg.connect(server.dsn, dbname=dbname, autocommit=True, options=PINNED) as connection:

        def source(sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
            cursor = connection.execute(sql.encode(), dict(parameters) or None)
            return cursor.fetchall() if cursor.description else []

        questions = Questions(history, server.target_time, source, live, sampling, limited=False)
        answers = examined(questions, server.server, dbname, data_dir, psycopg.Error, connection.close)
    return {name: finding.as_json() for name, finding in answers.items()}


PINNED = (
    "-c extra_float_digits=1 -c datestyle=ISO,YMD -c intervalstyle=postgres -c bytea_output=hex -c timezone=UTC "
    "-c client_encoding=UTF8"
)
"""Settings on which the text form of a value depends; the probe of the target pins the same."""
