"""Two regions as the checks of a switch see them: where clients are sent, who answers there, and both databases."""

from __future__ import annotations

import datetime as dt
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.probes.eventually import eventually
from opsverify.probes.record import discard
from opsverify.probes.tcp import certificate, is_open
from opsverify.recovery.wal.timelines import timeline_path
from opsverify.switchback.compare import compare_sample, compare_span, strays
from opsverify.switchback.table import Side, TimeSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opsverify.config.model import Target
    from opsverify.config.regions import Region, Regions, RegionTable
    from opsverify.probes.dns import Resolved
    from opsverify.probes.http import Http, Reply
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.record import Record
    from opsverify.probes.tcp import Certificate
    from opsverify.recovery.wal.timelines import TimelinePath
    from opsverify.switchback.compare import Apart

WAY_BACK: Final = "switchback"
"""The stage that expects traffic in the original region; any other expects it in the DR region."""

_TIMELINE: Final = """
SELECT CASE WHEN pg_is_in_recovery() THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                                                   (SELECT timeline_id FROM pg_control_checkpoint()))
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
        END
"""
_REPLAYED: Final = """
SELECT pg_last_wal_replay_lsn() >= %(lsn)s::text::pg_lsn AS there,
       greatest(pg_wal_lsn_diff(%(lsn)s::text::pg_lsn, pg_last_wal_replay_lsn()), 0)::float8 AS behind
"""
_RECEIVING: Final = "SELECT status, sender_host, sender_port FROM pg_stat_wal_receiver"


@dataclass(frozen=True)
class Lag:
    """Seconds until a standby showed what the primary had written when asked, and the bytes that were missing then."""

    elapsed_s: float
    behind_bytes: float
    arrived: bool


@dataclass(frozen=True)
class TwoRegions:
    """The regions of a target, for one check of `stage`; `original` and `dr` are their databases."""

    config: Regions
    stage: str
    run_id: str
    run_started: dt.datetime
    original: Postgres
    dr: Postgres
    http: Http
    record: Record

    @property
    def expected(self) -> Region:
        """The region that has to serve at this stage."""
        return self.config.original if self.stage == WAY_BACK else self.config.dr

    @property
    def switched_at(self) -> dt.datetime:
        """When traffic was given to the expected region. Raises Inconclusive when nobody said it."""
        if self.config.switched_at is None:
            raise Inconclusive(
                "when was traffic switched? Say --switched-at TIME, or set regions.switched_at in the target"
            )
        return self.config.switched_at

    @property
    def span(self) -> TimeSpan:
        """From the loss of the original region to the switch back. Raises Inconclusive when a time is missing."""
        if self.config.outage_at is None:
            raise Inconclusive("when was the original region lost? Set regions.outage_at in the target")
        return TimeSpan(self.config.outage_at, self.switched_at)

    @property
    def seed(self) -> int:
        """A number of this run, with which its samples are drawn again."""
        return zlib.crc32(self.run_id.encode()) & 0x7FFFFFFF

    def resolve(self, resolver: str) -> Resolved:
        """What one resolver says of the clients' name."""
        from opsverify.probes.dns import resolve  # noqa: PLC0415 - probes are imported when used

        return resolve(self.config.name, resolver, record=self.record)

    def owner_of(self, address: str) -> str:
        """An address with the region it belongs to, for messages."""
        for name in ("original", "dr"):
            if address in getattr(self.config, name).addresses:
                return f"{address} ({name})"
        return f"{address} (of neither region)"

    def answer_at(self, address: str) -> Reply:
        """What the clients' URL answers at one address, past any resolver of this machine."""
        return self.http.get(self.config.url, address=address, ca_file=self.config.ca_file)

    def is_open(self, host: str, port: int | str) -> bool:
        """Whether a TCP port takes connections."""
        return is_open(host.removeprefix("[").removesuffix("]"), int(port), record=self.record)

    def certificate_at(self, address: str) -> Certificate | None:
        """The certificate shown at `address` for the clients' name; None for plain http."""
        return certificate(self.config.url, self.config.ca_file, record=self.record, address=address)

    def timeline(self, name: str) -> int:
        """The timeline that the region's database writes or follows."""
        return int(self._database(name).value(_TIMELINE))

    def timeline_path(self, timeline: int) -> TimelinePath:
        """How the original region's timeline came about. Raises Inconclusive where its history cannot be read."""
        if self.config.wal_archive is None:
            raise Inconclusive("where are timeline histories? Set regions.wal_archive (a WAL archive keeps them)")
        return timeline_path(Path(self.config.wal_archive), timeline)

    def lag(self, deadline_s: float) -> Lag:
        """Await, for `deadline_s` at most, that the DR region shows what the original has written by now.

        PostgreSQL's own replay_lag is NULL or old on a quiet primary and while replay is paused; this is not.
        """
        written = str(self.original.value("SELECT pg_current_wal_lsn()::text"))
        dr = self.dr.recording(discard)
        began = time.monotonic()
        seen = eventually(
            lambda: dr.row(_REPLAYED, lsn=written),
            lambda row: bool(row.there),
            deadline_s=deadline_s,
            what=f"the DR region to show LSN {written}",
            record=self.record,
        )
        return Lag(time.monotonic() - began, float(seen.behind or 0), bool(seen.there))

    def receives(self) -> Sequence[Any]:
        """Rows (status, sender_host, sender_port) of the DR region's WAL receiver: one, or none."""
        return self.dr.rows(_RECEIVING)

    def compare(self, table: RegionTable) -> Apart:
        """Rows of `table` written while the DR region stood in that are not the same in both regions."""
        return compare_span(*self._sides(table), self.span)

    def strays(self, table: RegionTable) -> Apart:
        """Rows of `table` that the DR region wrote after the switch and the original one lacks."""
        return strays(*self._sides(table), self.switched_at)

    def compare_sample(self, table: RegionTable, size: int) -> Apart:
        """Rows of before the outage, about `size` drawn in each region, that are not the same in both."""
        return compare_sample(*self._sides(table), size, self.seed, self.span)

    def _sides(self, table: RegionTable) -> tuple[Side, Side]:
        original, dr = (
            Side(_source(database), table.name, table.key, table.changed) for database in (self.original, self.dr)
        )
        return original, dr

    def _database(self, name: str) -> Postgres:
        return self.original if name == "original" else self.dr


def described(target: Target) -> Regions:
    """The target's regions. Raises Inconclusive where it says nothing about them."""
    if target.regions is None:
        raise Inconclusive(
            "the target does not say what regions it has: describe them in [regions], "
            'or add "regions" to absent if there is only one'
        )
    return target.regions


def resolvers(target: Target) -> Sequence[str]:
    """The name servers to ask; raises Inconclusive as `described`."""
    return described(target).resolvers if target.has("regions") else ()


def core_tables(target: Target) -> Sequence[RegionTable]:
    """The tables that both regions must hold alike; raises Inconclusive as `described`, or where there are none."""
    if not target.has("regions"):
        return ()
    tables = described(target).tables
    if not tables:
        raise Inconclusive("no table to compare: name the core tables in [[regions.tables]] (name, key, changed)")
    return tables


def stands_by(target: Target) -> bool:
    """Whether the DR region is kept as a standby; also where the target is silent, which the check then says."""
    return target.regions is None or target.regions.switchback == "dr_as_standby"


def elapsed_s(since: dt.datetime) -> float:
    """Seconds from `since` until now."""
    return (dt.datetime.now(dt.UTC) - since).total_seconds()


def _source(database: Postgres) -> Callable[[str, Mapping[str, object]], Sequence[Any]]:
    return lambda sql, values: database.rows(sql, **values)
