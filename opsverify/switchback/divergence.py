"""Divergence of two regions: what the DR region wrote while it served, and after its fence, by its WAL.

Tables that are compared are named in the target; WAL knows every table that was written.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.wal.touched import touched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.config.regions import Regions
    from opsverify.probes.postgres import Postgres
    from opsverify.recovery.wal.timelines import PassedTimeline

_SERVER: Final = """
SELECT (SELECT system_identifier FROM pg_control_system())::text AS system,
       pg_postmaster_start_time() AS started, clock_timestamp() AS now,
       current_setting('server_version_num')::int / 10000 AS major,
       (SELECT setting::int8 FROM pg_settings WHERE name = 'wal_segment_size') AS segment_size
"""
_POSITION: Final = """
SELECT (CASE WHEN pg_is_in_recovery()
             THEN greatest(pg_last_wal_replay_lsn(), pg_last_wal_receive_lsn())
             ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::int8
"""
_RELATIONS: Final = """
SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::int8 AS database,
       pg_relation_filenode(c.oid)::int8 AS file, c.relkind::text AS kind,
       coalesce(o.oid, c.oid)::int8 AS oid, coalesce(p.nspname, n.nspname) AS schema,
       coalesce(o.relname, c.relname) AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class o ON o.reltoastrelid = c.oid LEFT JOIN pg_namespace p ON p.oid = o.relnamespace
 WHERE pg_relation_filenode(c.oid) IS NOT NULL
"""
_DATABASES: Final = "SELECT oid::int8 AS oid, datname AS name FROM pg_database"
_LARGE_OBJECTS: Final = 2613
_FIRST_OWN: Final = 16384
_OURS: Final = "opsverify"
CLOCK_LIMIT: Final = dt.timedelta(seconds=5)
"""By how much the clocks of both regions may differ: times of one are compared with rows of the other."""


@dataclass(frozen=True)
class ServerIdentity:
    """One of the two servers: its cluster, its start, its version, and by how much its clock is ahead of ours.

    `uncertain` is by how much that may be wrong: half of what asking took.
    """

    system: str
    started: dt.datetime
    major: int
    segment_size: int
    ahead: dt.timedelta
    uncertain: dt.timedelta = dt.timedelta(0)


@dataclass(frozen=True)
class Written:
    """Tables (`schema.name`) that a stretch of WAL changes, with the times of its first and last commit."""

    tables: tuple[str, ...]
    first_commit_at: dt.datetime | None
    last_commit_at: dt.datetime | None


def identity(database: Postgres) -> ServerIdentity:
    """Return who answers behind `database`."""
    before = dt.datetime.now(dt.UTC)
    row = database.row(_SERVER)
    half = (dt.datetime.now(dt.UTC) - before) / 2
    ahead = row.now - (before + half)
    return ServerIdentity(row.system, row.started, int(row.major), int(row.segment_size), ahead, half)


def clock_margin(original: ServerIdentity, dr: ServerIdentity) -> dt.timedelta:
    """By how much a time that one region wrote may differ from the same moment in the other one."""
    return abs(original.ahead - dr.ahead) + original.uncertain + dr.uncertain


def require_two_servers(original: ServerIdentity, dr: ServerIdentity) -> None:
    """Raise Inconclusive where both regions lead to one server, to two clusters, or have clocks that differ."""
    if original.system != dr.system:
        raise Inconclusive(
            say(
                "the regions' databases are of two clusters (system identifiers {original} and "
                "{dr}): neither is a copy of the other; correct [regions.original.database] or "
                "[regions.dr.database]",
                original=original.system,
                dr=dr.system,
            )
        )
    if original.started == dr.started:
        raise Inconclusive(
            say(
                "both regions lead to one server, started at {at}: correct host and port of "
                "[regions.original.database] or [regions.dr.database]; stop nothing",
                at=original.started.isoformat(),
            )
        )
    apart = abs(original.ahead - dr.ahead)
    if apart > CLOCK_LIMIT:
        raise Inconclusive(
            say(
                "the clocks of the regions' databases differ by {apart:.1f} s, at most "
                "{limit:g} s: rows cannot be compared by time; set the clocks, then rerun",
                apart=apart.total_seconds(),
                limit=CLOCK_LIMIT.total_seconds(),
            )
        )


def position(database: Postgres) -> int:
    """The LSN that a server has written, replayed or received."""
    return int(database.value(_POSITION))


@dataclass(frozen=True)
class DrWal:
    """WAL of the DR region in the target's archives, and both databases by which its files get names."""

    config: Regions
    databases: tuple[Postgres, ...]
    server: ServerIdentity

    def written(self, passed: PassedTimeline) -> Written:
        """What was written while the DR region served. Raises Inconclusive where its WAL is not archived."""
        return self._written(passed.timeline, passed.entered, passed.left)

    def written_after(self, passed: PassedTimeline) -> Written:
        """What was archived of the DR region's timeline after the original region had left it."""
        return self._written(passed.timeline, passed.left, None)

    def uncovered(self, tables: Sequence[str]) -> tuple[str, ...]:
        """Those of `tables` that are neither compared nor left out by the target."""
        named = {_full(table.name) for table in self.config.tables} | {_full(name) for name in self.config.left_out}
        return tuple(table for table in tables if table not in named)

    def _written(self, timeline: int, since: int, until: int | None) -> Written:
        archives = [Path(path) for path in (self.config.wal_archive, self.config.dr_wal_archive) if path]
        tools = find_tools(self.server.major)
        found = touched(archives, timeline, since, until, self.server.segment_size, tools)
        return Written(self._names(found.files), found.first_commit_at, found.last_commit_at)

    def _names(self, files: frozenset[tuple[int, int]]) -> tuple[str, ...]:
        relations = [row for database in self.databases for row in database.rows(_RELATIONS)]
        own = {row.database for row in relations}
        names = {
            _name_of(row) for row in relations if (row.database, row.file) in files and row.kind in ("r", "t", "m", "p")
        }
        others = {row.oid: row.name for row in self.databases[0].rows(_DATABASES)}
        elsewhere = {database for database, _ in files} - own - {0}
        names |= {f"database {others.get(database, database)}" for database in elsewhere}
        return tuple(sorted(filter(None, names)))


def _name_of(row: object) -> str | None:
    oid, schema, name = (getattr(row, key) for key in ("oid", "schema", "name"))
    if oid == _LARGE_OBJECTS:
        return "large objects"
    return None if oid < _FIRST_OWN or schema == _OURS else f"{schema}.{name}"


def _full(name: str) -> str:
    return name if "." in name else f"public.{name}"


def contradiction(
    outage_at: dt.datetime, switched_at: dt.datetime, written: Written, margin: dt.timedelta = dt.timedelta(0)
) -> str | None:
    """Why the given times cannot be right; None where the WAL of the DR region lies between them.

    `margin` is that of the clocks: what lies within it is compared.
    """
    if outage_at >= switched_at:
        return say(
            "outage_at {at} is not before switched_at {switched}",
            at=outage_at.isoformat(),
            switched=switched_at.isoformat(),
        )
    if written.first_commit_at is not None and written.first_commit_at < outage_at - margin:
        return say(
            "the DR region committed at {at}, before outage_at {outage}: what it wrote until then is not compared",
            at=written.first_commit_at.isoformat(),
            outage=outage_at.isoformat(),
        )
    if written.last_commit_at is not None and written.last_commit_at > switched_at + margin:
        return say(
            "the DR region committed at {at}, after switched_at {switched}: what it wrote since is not compared",
            at=written.last_commit_at.isoformat(),
            switched=switched_at.isoformat(),
        )
    return None
