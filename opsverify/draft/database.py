"""Database of a draft: what a connection string alone shows of a server and its tables, read only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.recovery.ledger.discovery import find_tables
from opsverify.recovery.ledger.queries import NAMES_ON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.probes.postgres import Postgres

_SERVER: Final = """
SELECT current_setting('server_version') AS version,
       pg_is_in_recovery() AS standby,
       current_setting('archive_mode') <> 'off' AS archives,
       coalesce((SELECT setting FROM pg_settings WHERE name = 'archive_command'), '') AS archive_command,
       (SELECT count(*)::int FROM pg_stat_replication WHERE state = 'streaming') AS replicas,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted
"""

_MIGRATIONS: Final = {
    "alembic_version": "SELECT version_num FROM {table}",
    "flyway_schema_history": "SELECT max(installed_rank)::text FROM {table} WHERE success",
    "schema_migrations": "SELECT max(version)::text FROM {table}",
    "django_migrations": "SELECT max(id)::text FROM {table}",
    "databasechangelog": "SELECT max(orderexecuted)::text FROM {table}",
    "__EFMigrationsHistory": 'SELECT max("MigrationId") FROM {table}',
}
"""The table in which each migration tool keeps what was applied, and the query of the newest (Alembic, Flyway, Rails
and golang-migrate, Django, Liquibase, Entity Framework)."""


@dataclass(frozen=True)
class SeenMigration:
    """A migration tool's table, the query that gives the revision, and the revision now."""

    query: str
    head: str


@dataclass(frozen=True)
class SeenTable:
    """One table: rows (an estimate), its key, the column by which its rows are in order, and what happened to them."""

    name: str
    quoted: str
    rows: int
    key: tuple[str, ...]
    ordered_by: str
    updates: int
    deletes: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class SeenDatabase:
    """What a role that may only read sees of a server and of one database."""

    version: str
    standby: bool
    archives: bool
    replicas: int
    encrypted: bool
    tables: tuple[SeenTable, ...]
    unreadable: tuple[str, ...]
    migration: SeenMigration | None
    backups: tuple[str, str] | None = None
    """The tool that archives WAL, as `archive_command` names it, and its stanza or server."""

    @property
    def read_often(self) -> SeenTable | None:
        """A table with rows, to be read as a sign of life: the one with the fewest."""
        return min((table for table in self.tables if table.rows), key=lambda table: table.rows, default=None)


def read_database(postgres: Postgres) -> SeenDatabase:
    """Return what the role of `postgres` sees.

    Raises Unreachable without an answer, Inconclusive where it is refused.
    """
    names = postgres.on_path(NAMES_ON)

    def source(sql: str, values: Mapping[str, object]) -> tuple[Any, ...]:
        return names.rows(sql, **values)

    server = names.row(_SERVER)
    found = find_tables(source, {})
    tables = tuple(
        SeenTable(
            name=table.name,
            quoted=table.quoted,
            rows=found.estimates[table.name],
            key=table.key,
            ordered_by=table.bucket,
            updates=found.activity[table.name].updates,
            deletes=found.activity[table.name].deletes,
            columns=tuple(column.name for column in found.columns[table.name]),
        )
        for table in found.tables
    )
    return SeenDatabase(
        server.version,
        server.standby,
        server.archives,
        server.replicas,
        server.encrypted,
        tables,
        found.skipped,
        _migration(names, tables),
        archiving_tool(server.archive_command),
    )


def archiving_tool(command: str) -> tuple[str, str] | None:
    """`pgbackrest` with its stanza, or `barman` with its server; None where the command is another one.

    Sources: pgBackRest's user guide, archive-push; barman-wal-archive(1).
    """
    if found := re.search(r"\bpgbackrest\b.*?--stanza[= ]([\w.-]+)", command):
        return "pgbackrest", found[1]
    if found := re.search(r"\bbarman-wal-archive\b.*?\s([\w.-]+)\s+[\"']?%p", command):
        return "barman", found[1]
    return None


def _migration(postgres: Postgres, tables: tuple[SeenTable, ...]) -> SeenMigration | None:
    for table in tables:
        query = _MIGRATIONS.get(table.name.rpartition(".")[2])
        if query is not None:
            statement = query.format(table=table.quoted)
            head = postgres.value(statement)
            return SeenMigration(statement, str(head)) if head is not None else None
    return None
