"""Twins: what both regions' databases have in common besides rows, and what would stop the next commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.ledger.catalog import changes, read_catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.probes.postgres import Postgres
    from opsverify.recovery.ledger.queries import Source

_SEQUENCES: Final = """
SELECT n.nspname || '.' || c.relname AS name, has_sequence_privilege(c.oid, 'SELECT') AS readable,
       CASE WHEN has_sequence_privilege(c.oid, 'SELECT') THEN pg_sequence_last_value(c.oid) END AS last,
       s.seqincrement AS step, s.seqcache AS cached
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence <> 't'
"""
_LOGGED_AHEAD: Final = 32
"""SEQ_LOG_VALS (commands/sequence.c): numbers that one WAL record covers."""
_SLOTS: Final = """
SELECT slot_name AS name, active, slot_type AS kind,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
                       restart_lsn)::float8 AS kept
  FROM pg_replication_slots WHERE NOT temporary
"""
_SYNCHRONOUS: Final = """
SELECT current_setting('synchronous_standby_names') AS names, current_setting('synchronous_commit') AS level,
       (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS standbys
"""
_UNSLOTTED: Final = """
SELECT coalesce(nullif(application_name, ''), 'pid ' || pid) AS name FROM pg_stat_replication r
 WHERE NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid)
   AND current_setting('wal_keep_size') = '0' AND r.application_name NOT IN ('pg_basebackup', 'pg_receivewal')
"""


def catalog_differences(original: Source, dr: Source) -> tuple[str, ...]:
    """Objects of the DR region's database that the original one lacks, defines otherwise, or has in addition."""
    wanted, found = read_catalog(dr), read_catalog(original)
    return tuple(f"{kind}: {line}" for kind in wanted for line in changes(wanted[kind], found[kind]))


def sequences_behind(original: Postgres, dr: Postgres, *, follows: bool = False) -> tuple[str, ...]:
    """Sequences that would give numbers again which the DR region gave already.

    A DR region that `follows` the original one shows what WAL holds: numbers logged ahead, before they are given.
    Raises Inconclusive where the role may not read one of them.
    """
    here, there = ({row.name: row for row in database.rows(_SEQUENCES)} for database in (original, dr))
    closed = sorted({name for side in (here, there) for name, row in side.items() if not row.readable})
    if closed:
        raise Inconclusive(
            say(
                "{count} sequences cannot be read ({names}): GRANT SELECT ON ALL SEQUENCES IN SCHEMA ... "
                "to the role of [regions]",
                count=len(closed),
                names=", ".join(closed[:3]),
            )
        )
    return tuple(
        f"{name} is at {here[name].last or 'its start'}, DR at {row.last}"
        for name, row in sorted(there.items())
        if name in here
        and row.last is not None
        and _behind(here[name].last, row.last, row.step, _LOGGED_AHEAD + row.cached if follows else 0)
    )


def _behind(last: int | None, wanted: int, step: int, ahead: int) -> bool:
    if last is None:
        return not ahead
    return (last - wanted) * (1 if step > 0 else -1) < -ahead * abs(step)


def dead_slots(database: Postgres) -> tuple[str, ...]:
    """Replication slots that nobody reads, and that keep WAL until the disk is full."""
    rows: Sequence[Any] = database.rows(_SLOTS)
    return tuple(
        f"{row.name} ({row.kind}) keeps {row.kept:,.0f} bytes of WAL, and nothing reads it"
        for row in rows
        if not row.active and row.kept is not None
    )


def standbys_without_slot(database: Postgres) -> tuple[str, ...]:
    """Standbys for which no WAL is kept: a short break of the network would end their replication."""
    return tuple(row.name for row in database.rows(_UNSLOTTED))


def commits_blocked(database: Postgres) -> str | None:
    """Why a commit would wait for ever; None where none does."""
    row = database.row(_SYNCHRONOUS)
    if not row.names or row.level in ("off", "local") or row.standbys:
        return None
    return f"synchronous_standby_names = {row.names!r}, and no synchronous standby is connected"
