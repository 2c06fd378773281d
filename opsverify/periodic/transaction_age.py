"""Age of transaction ids and multixacts: how far the oldest is from the wraparound, and who holds it back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from opsverify.history.snapshot import Snapshot
from opsverify.language.message import say
from opsverify.periodic.server_origin import server_origin
from opsverify.units import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.probes.postgres import Postgres

SUBJECT: Final = "postgres.age"
KEPT_DAYS: Final = 400
WRAPAROUND: Final = 2**31
"""Ids after which the server refuses writes."""
NORMAL: Final = 1.1
"""Ages up to this many times the setting are those of the cycle: at the setting the next vacuum is forced."""
LOOKED_BACK_S: Final = 14 * 86400.0

AGES: Final = """
SELECT datname AS database, age(datfrozenxid)::bigint AS xids, mxid_age(datminmxid)::bigint AS multixacts,
       current_setting('autovacuum_freeze_max_age')::bigint AS xids_forced,
       current_setting('autovacuum_multixact_freeze_max_age')::bigint AS multixacts_forced
  FROM pg_database
"""
HOLDERS: Final = """
SELECT who, held::bigint FROM (
    SELECT format('session %s of %s (%s, %s)', pid, usename, nullif(application_name, ''), state) AS who,
           greatest(age(backend_xid), age(backend_xmin)) AS held
      FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    UNION ALL
    SELECT format('replication slot %s (%s)', slot_name, CASE WHEN active THEN 'active' ELSE 'inactive' END),
           greatest(age(xmin), age(catalog_xmin)) FROM pg_replication_slots
    UNION ALL
    SELECT format('prepared transaction %s of %s', gid, owner), age(transaction) FROM pg_prepared_xacts
    UNION ALL
    SELECT format('standby %s', application_name), age(backend_xmin) FROM pg_stat_replication
) AS holders
 WHERE held IS NOT NULL ORDER BY held DESC LIMIT 3
"""
TABLES: Final = """
SELECT format('table %I.%I', n.nspname, c.relname) AS who, greatest(age(c.relfrozenxid), mxid_age(c.relminmxid)) AS held
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 't', 'm') ORDER BY 2 DESC LIMIT 2
"""


@dataclass(frozen=True, slots=True)
class DatabaseAge:
    """The ages of one database, and the settings at which a vacuum is forced."""

    database: str
    xids: int
    multixacts: int
    xids_forced: int
    multixacts_forced: int

    @property
    def share(self) -> float:
        """The older of both, as a share of the ids until the wraparound."""
        return max(self.xids, self.multixacts) / WRAPAROUND

    @property
    def beyond_cycle(self) -> bool:
        """Whether one is older than the cycle of forced vacuums lets it become."""
        return self.xids > NORMAL * self.xids_forced or self.multixacts > NORMAL * self.multixacts_forced


def age_snapshot(postgres: Postgres) -> Snapshot:
    """The ages of every database now. Raises Inconclusive."""
    found = server_origin(postgres)
    rows = {row.database: {k: v for k, v in row._asdict().items() if k != "database"} for row in postgres.rows(AGES)}
    return Snapshot(SUBJECT, found.now, found.origin, rows, 1.0, KEPT_DAYS)


def ages(snapshot: Snapshot) -> tuple[DatabaseAge, ...]:
    """The databases of a snapshot, oldest first."""
    found = (
        DatabaseAge(name, *(int(row[key] or 0) for key in ("xids", "multixacts", "xids_forced", "multixacts_forced")))
        for name, row in snapshot.rows.items()
    )
    return tuple(sorted(found, key=lambda one: -one.share))


def comes_down(name: str, series: Sequence[Snapshot]) -> bool | None:
    """Whether the age of a database fell between two snapshots of the same server; None where too little is known."""
    origin = series[-1].origin.same if series else {}
    known = [one for one in series if one.origin.same == origin and name in one.rows]
    values = [max(int(one.rows[name]["xids"] or 0), int(one.rows[name]["multixacts"] or 0)) for one in known]
    if any(later < earlier for earlier, later in pairwise(values)):
        return True
    if not known or (known[-1].taken_at - known[0].taken_at).total_seconds() < _LEAST_S:
        return None
    return False


def holders(postgres: Postgres) -> str:
    """Who keeps rows from being frozen, oldest first, and the oldest tables."""
    found = [say("{who} ({held:,} ids)", who=row.who, held=row.held) for row in postgres.rows(HOLDERS)]
    tables = [say("{who} ({held:,} ids)", who=row.who, held=row.held) for row in postgres.rows(TABLES)]
    held = listed(say("held back by"), found) if found else say("held back by no session, slot or transaction")
    return say("{held}; {oldest}", held=held, oldest=listed(say("oldest"), tables))


_LEAST_S = 86400.0
