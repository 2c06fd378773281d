"""Statements as pg_stat_statements counts them, by user, database, query and level.

Levels are never added: with `track = all` a function's statements are counted once for themselves and once within
the statement that called it.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.history.snapshot import Origin, Snapshot
from opsverify.language.message import say

if TYPE_CHECKING:
    from opsverify.probes.postgres import Postgres

SUBJECT: Final = "postgres.statements"
KEPT_DAYS: Final = 40
OLDEST: Final = (1, 9)
"""The extension's version with the level and the count of dropped entries: PostgreSQL 14."""
RENAMED: Final = (1, 11)
"""The version in which the times of blocks got another name, and an entry says since when it counts."""

INSTALLED: Final = """
SELECT (SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements') AS version,
       (SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
         WHERE extname = 'pg_stat_statements') AS schema,
       current_setting('pg_stat_statements.track', true) AS track,
       pg_has_role('pg_read_all_stats', 'USAGE') AS reads_all,
       (SELECT system_identifier::text FROM pg_control_system()) AS cluster,
       current_setting('server_version_num')::int / 10000 AS major,
       now() AS now
"""
DATABASES: Final = "database/"
"""Beginning of the keys whose rows hold the time that all sessions of a database were active, whatever they ran."""
_ACTIVE: Final = "SELECT datid::text, active_time AS active_ms FROM pg_stat_database WHERE datid <> 0"
_COUNTERS: Final = "calls, total_exec_time, rows, shared_blks_hit, shared_blks_read, temp_blks_read, temp_blks_written"


def statements(postgres: Postgres) -> Snapshot:
    """Every statement that the server knows, as it is counted now.

    Raises Inconclusive where the extension is missing or too old, or the role sees only its own statements.
    """
    installed = postgres.row(INSTALLED)
    version = _version(installed)
    where = f"{installed.schema}.pg_stat_statements"
    info = postgres.row(f"SELECT dealloc, stats_reset FROM {where}_info")  # noqa: S608 - quoted by the server
    since = "stats_since" if version >= RENAMED else "NULL AS stats_since"
    found = postgres.rows(
        f"SELECT userid::text, dbid::text, queryid, toplevel, {since}, {_COUNTERS} FROM {where}(showtext := false)"  # noqa: S608 - as above
    )
    if not installed.reads_all or any(row.queryid is None for row in found):
        raise Inconclusive(
            say(
                "pg_stat_statements: {count} statements of other roles are hidden; "
                "GRANT pg_read_all_stats TO the role of the probe",
                count=sum(row.queryid is None for row in found),
            )
        )
    origin = Origin(
        {
            "system_identifier": installed.cluster,
            "server version": str(installed.major),
            "pg_stat_statements": installed.version,
            "pg_stat_statements.track": installed.track,
        },
        {"stats_reset of pg_stat_statements": info.stats_reset.astimezone(dt.UTC).isoformat()},
        info.dealloc,
    )
    active = {f"{DATABASES}{row.datid}": {"active_ms": row.active_ms} for row in postgres.rows(_ACTIVE)}
    rows = active | {_key(row): _values(row) for row in found}
    return Snapshot(SUBJECT, installed.now, origin, rows, None, KEPT_DAYS)


def _version(installed: Any) -> tuple[int, ...]:  # noqa: ANN401 - a row
    if installed.version is None:
        raise Inconclusive(
            say(
                "pg_stat_statements is not installed; add it to shared_preload_libraries and CREATE EXTENSION "
                'pg_stat_statements, or declare "statements" absent with the reason'
            )
        )
    version = tuple(int(part) for part in installed.version.split("."))
    if version < OLDEST:
        raise Inconclusive(
            say(
                "pg_stat_statements {version} does not count dropped entries; "
                "ALTER EXTENSION pg_stat_statements UPDATE (1.9 or later)",
                version=installed.version,
            )
        )
    if installed.track is None:
        raise Inconclusive(
            say("pg_stat_statements is not loaded; add it to shared_preload_libraries and restart the server")
        )
    return version


def _key(row: Any) -> str:  # noqa: ANN401 - a row
    return f"{row.userid}/{row.dbid}/{row.queryid}/{'top' if row.toplevel else 'nested'}"


def _values(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row
    values = row._asdict()
    for part in ("userid", "dbid", "queryid", "toplevel"):
        del values[part]
    if values["stats_since"] is None:
        del values["stats_since"]
    else:
        values["stats_since"] = values["stats_since"].astimezone(dt.UTC)
    return dict(values)
