"""State of a PostgreSQL server: the statements, and the values that they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    import datetime as dt

OLDEST_MAJOR: Final = 14
"""The oldest major version whose functions and columns the library's own statements name."""

# A setting of this very role hides the server's own; then only the files have it.
# Without pg_read_all_stats the kind of a backend is hidden: background workers are counted as well.
SERVER: Final = """
SELECT current_setting('server_version') AS version,
       pg_is_in_recovery() AS in_recovery,
       CASE WHEN EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS one
                          WHERE s.setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user)
                            AND one LIKE 'default_transaction_read_only=%')
            THEN NULL
            ELSE (SELECT reset_val = 'on' FROM pg_settings WHERE name = 'default_transaction_read_only')
        END AS read_only,
       has_function_privilege('pg_show_all_file_settings()', 'EXECUTE') AS may_read_files,
       current_setting('max_connections')::int AS max_connections,
       CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE')
            THEN (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
            ELSE (SELECT sum(numbackends) FROM pg_stat_database)
        END::int AS connections_used,
       pg_postmaster_start_time() AS started_at
"""

READ_ONLY_IN_FILES: Final = """
SELECT coalesce(
         (SELECT split_part(one, '=', 2)
            FROM pg_db_role_setting s, unnest(s.setconfig) AS one
           WHERE s.setrole = 0
             AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND one LIKE 'default_transaction_read_only=%'),
         (SELECT setting FROM pg_show_all_file_settings()
           WHERE name = 'default_transaction_read_only' AND applied
           ORDER BY seqno DESC LIMIT 1),
         'off')::bool
"""

# PostgreSQL's own lag turns NULL, or old, once a replica has caught up: then it is 0.
REPLICAS: Final = """
SELECT coalesce(nullif(application_name, ''), host(client_addr), 'pid ' || pid) AS name,
       state,
       CASE WHEN replay_lsn >= CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                    ELSE pg_current_wal_lsn() END
            THEN 0
            ELSE extract(epoch FROM replay_lag)
        END::float8 AS replay_lag_s
  FROM pg_stat_replication
 ORDER BY 1
"""

ARCHIVER: Final = """
SELECT archived_count, failed_count, last_archived_time, last_failed_time,
       coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL),
       current_setting('archive_mode') <> 'off'
  FROM pg_stat_archiver
"""

# An archive_command that hangs fails never: its segments wait.
WAITING: Final = """
SELECT count(*)::int AS count, coalesce(extract(epoch FROM now() - min(modification)), 0)::float8 AS oldest_s
  FROM pg_ls_archive_statusdir()
 WHERE name LIKE '%.ready'
"""

RIGHTS: Final = """
SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
                  AND n.nspname NOT LIKE 'pg\\_%'
                  AND has_schema_privilege(n.oid, 'USAGE')
                  AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS can_write,
       pg_has_role('pg_monitor', 'USAGE') AS pg_monitor,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements') AS pg_stat_statements
"""


@dataclass(frozen=True, slots=True)
class ServerState:
    """The server itself; `default_read_only` is None where this role may not read it."""

    version: str
    in_recovery: bool
    default_read_only: bool | None
    max_connections: int
    connections_used: int
    started_at: dt.datetime

    @property
    def read_only(self) -> bool:
        """Whether transactions of other roles start READ ONLY. Raises Inconclusive where that is hidden."""
        if self.default_read_only is None:
            raise Inconclusive(
                say(
                    "PostgreSQL: default_transaction_read_only is set for this role and hides the server's; "
                    "ALTER ROLE ... RESET default_transaction_read_only, or GRANT EXECUTE ON FUNCTION "
                    "pg_show_all_file_settings() to it (every statement of the probe is READ ONLY anyway)"
                )
            )
        return self.default_read_only


@dataclass(frozen=True, slots=True)
class Replica:
    """One connected replica; `replay_lag_s` is None when the lag is unknown."""

    name: str
    state: str
    replay_lag_s: float | None


@dataclass(frozen=True, slots=True)
class Archiver:
    """WAL archiving since the statistics were reset; `failing`: the last attempt failed."""

    archived_count: int
    failed_count: int
    last_archived_at: dt.datetime | None
    last_failed_at: dt.datetime | None
    failing: bool
    enabled: bool


@dataclass(frozen=True, slots=True)
class WaitingSegments:
    """WAL segments that are complete and not archived; `oldest_s` is 0 where none waits."""

    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Rights:
    """What the role may do (`can_write`: any table), and whether pg_stat_statements is installed."""

    superuser: bool
    can_write: bool
    pg_monitor: bool
    pg_stat_statements: bool
