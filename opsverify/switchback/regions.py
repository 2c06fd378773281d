"""Regions of a switch as its checks read them: where clients are sent, which region serves there, both databases."""

from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive, Unreachable
from opsverify.language.message import say
from opsverify.probes.eventually import eventually
from opsverify.probes.local_timer import Elapsed, LocalTimer
from opsverify.probes.record import discard
from opsverify.probes.tcp import port_answer
from opsverify.probes.tls import certificate
from opsverify.recovery.ledger.queries import NAMES_ON
from opsverify.recovery.wal.timelines import timeline_path
from opsverify.switchback.compare import compare_sample, compare_span, late_writes
from opsverify.switchback.divergence import (
    DrWal,
    clock_margin,
    contradiction,
    identity,
    position,
    require_two_servers,
)
from opsverify.switchback.ports import closed_ports
from opsverify.switchback.table import TableCopy, TimeSpan
from opsverify.switchback.twins import catalog_differences

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence

    from opsverify.config.regions import Region, Regions, RegionTable
    from opsverify.probes.dns import Resolved
    from opsverify.probes.http import Http, Reply
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.record import Record
    from opsverify.probes.tcp import PortAnswer
    from opsverify.probes.tls import Certificate
    from opsverify.recovery.wal.timelines import TimelinePath
    from opsverify.switchback.compare import TableDifference
    from opsverify.switchback.divergence import ServerIdentity, Written
    from opsverify.switchback.ports import ClosedPorts

SWITCHBACK: Final = "switchback"
"""The stage that expects traffic in the original region; any other expects it in the DR region."""

TIMES: Final = 6
"""Requests at each address: an ingress that forwards every second one elsewhere answers three of them wrongly."""
_UNCACHED: Final = {"Cache-Control": "no-cache, no-store", "Pragma": "no-cache", "Connection": "close"}
_TIMELINE: Final = """
SELECT CASE WHEN pg_is_in_recovery() THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                                                   (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int)
                                                      FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'),
                                                   (SELECT timeline_id FROM pg_control_checkpoint()))
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
        END
"""
_REPLAYED: Final = """
SELECT pg_last_wal_replay_lsn() >= %(lsn)s::text::pg_lsn AS arrived,
       greatest(pg_wal_lsn_diff(%(lsn)s::text::pg_lsn, pg_last_wal_replay_lsn()), 0)::float8 AS missing
"""
_WAL_RECEIVER: Final = "SELECT status, sender_host, sender_port FROM pg_stat_wal_receiver"


@dataclass(frozen=True)
class Lag:
    """Seconds until a standby replayed the LSN that the primary had written; bytes missing at the last query."""

    elapsed_s: Elapsed
    behind_bytes: float
    arrived: bool


@dataclass(frozen=True)
class RegionPair:
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
        return self.config.original if self.stage == SWITCHBACK else self.config.dr

    @property
    def switched_at(self) -> dt.datetime:
        """When traffic was switched to the expected region. Raises Inconclusive when it is not given."""
        if self.config.switched_at is None:
            raise Inconclusive(
                say("missing --switched-at TIME (or regions.switched_at in the target): when traffic was switched")
            )
        return self.config.switched_at

    @property
    def span(self) -> TimeSpan:
        """From the loss of the original region to the switch back. Raises Inconclusive when a time is missing."""
        if self.config.outage_at is None:
            raise Inconclusive(say("missing regions.outage_at in the target: when the original region was lost"))
        if self.config.outage_at >= self.switched_at:
            raise Inconclusive(
                say(
                    "the times contradict each other: outage_at {outage} is not before switched_at "
                    "{switched}; correct them",
                    outage=self.config.outage_at.isoformat(),
                    switched=self.switched_at.isoformat(),
                )
            )
        return TimeSpan(self.config.outage_at, self.switched_at)

    @property
    def seed(self) -> int:
        """A number of this run, with which its samples are drawn again."""
        return zlib.crc32(self.run_id.encode()) & 0x7FFFFFFF

    def resolve(self, resolver: str) -> Resolved:
        """Addresses of the clients' name from one resolver."""
        from opsverify.probes.dns import resolve  # noqa: PLC0415 - probes are imported when used

        return resolve(self.config.name, resolver, record=self.record)

    def owner_of(self, address: str) -> str:
        """An address with the region it belongs to, for messages."""
        for name in ("original", "dr"):
            if address in getattr(self.config, name).addresses:
                return f"{address} ({name})"
        return f"{address} (of neither region)"

    def answer_at(self, address: str) -> Reply:
        """The reply of the clients' URL at one address, without any resolver of this machine."""
        return self.http.get(self.config.url, address=address, ca_file=self.config.ca_file)

    def answers_at(self, address: str) -> Sequence[Reply]:
        """Replies to several requests at one address, each over a connection of its own and past every cache.

        Raises Inconclusive where a cache answered, Unreachable where nobody did.
        """
        replies = []
        for _ in range(TIMES):
            reply = self.http.get(self.config.url, address=address, ca_file=self.config.ca_file, headers=_UNCACHED)
            age = str(reply.headers.get("Age", "0")).strip()
            if age != "0":
                raise Inconclusive(
                    say(
                        "{address}: answered from a cache (Age: {age}), though it was asked with Cache-Control: "
                        "no-cache; which region serves is not known: let the cache pass this URL",
                        address=address,
                        age=age,
                    )
                )
            replies.append(reply)
        return replies

    def port_answer(self, host: str, port: int | str) -> PortAnswer:
        """Whether a TCP port takes connections, refuses them, or gives no answer."""
        return port_answer(host.removeprefix("[").removesuffix("]"), int(port), record=self.record)

    def closed_ports(self) -> ClosedPorts:
        """The ports of the original region that must be closed, by what they answer."""
        return closed_ports(self.config.original, self.port_answer)

    def certificate_at(self, address: str) -> Certificate | None:
        """The certificate at `address` for the clients' name; None for plain http."""
        return certificate(self.config.url, self.config.ca_file, record=self.record, address=address)

    @cached_property
    def servers(self) -> tuple[ServerIdentity, ServerIdentity]:
        """The two servers. Raises Inconclusive where they are one, of two clusters, or have clocks that differ."""
        found = identity(self.original), identity(self.dr)
        require_two_servers(*found)
        return found

    def require_two_servers(self) -> None:
        """Raise Inconclusive as `servers`; nothing where one of them does not answer, which other checks report."""
        with suppress(Unreachable):
            _ = self.servers

    @cached_property
    def margin(self) -> dt.timedelta:
        """By how much the clocks of both regions differ: so much earlier and later than the span is compared too.

        Raises as `servers`.
        """
        return clock_margin(*self.servers)

    @property
    def dr_wal(self) -> DrWal:
        """WAL of the DR region. Raises as `servers`."""
        return DrWal(self.config, (self.original, self.dr), self.servers[0])

    def written(self) -> Written:
        """What the DR region wrote while it served; raises Inconclusive where that contradicts the given times."""
        passed = self.timeline_path(self.timeline("original")).passed
        if passed is None:
            raise Inconclusive(
                say("the original region does not continue the DR region's timeline: see switchback.timeline")
            )
        written = self.dr_wal.written(passed)
        span = self.span
        if problem := contradiction(span.since, span.until, written, self.margin):
            raise Inconclusive(
                say(
                    "the times contradict each other: {problem}; correct regions.outage_at or --switched-at",
                    problem=problem,
                )
            )
        return written

    def changed_by_dr(self, table: RegionTable) -> bool:
        """Whether WAL of the DR period changes `table`. Raises Inconclusive where that WAL cannot be read."""
        name = table.name if "." in table.name else f"public.{table.name}"
        return name in self.written().tables

    def dr_position(self) -> int:
        """The LSN up to which the DR region's database has WAL."""
        return position(self.dr)

    def catalog_differences(self) -> tuple[str, ...]:
        """Objects other than rows that are different in the two regions."""
        original, dr = (_source(database.on_path(NAMES_ON)) for database in (self.original, self.dr))
        return catalog_differences(original, dr)

    def timeline(self, name: str) -> int:
        """The timeline that the region's database writes or follows."""
        return int(self._database(name).value(_TIMELINE))

    def timeline_path(self, timeline: int) -> TimelinePath:
        """How the original region's timeline came about. Raises Inconclusive where its history cannot be read."""
        if self.config.wal_archive is None:
            raise Inconclusive(say("missing regions.wal_archive: the timeline histories are read from it"))
        return timeline_path(Path(self.config.wal_archive), timeline)

    def lag(self, deadline_s: float) -> Lag:
        """Wait, for `deadline_s` at most, until the DR region has replayed what the original has written by now.

        PostgreSQL's own replay_lag is NULL or old on a quiet primary and while replay is paused; this is not.
        """
        written = str(self.original.value("SELECT pg_current_wal_lsn()::text"))
        dr = self.dr.recording(discard)
        watch = LocalTimer()
        replayed = eventually(
            lambda: dr.row(_REPLAYED, lsn=written),
            lambda row: bool(row.arrived),
            deadline_s=deadline_s,
            what=f"the DR region to replay LSN {written}",
            record=self.record,
        )
        return Lag(watch.elapsed_s, float(replayed.missing or 0), bool(replayed.arrived))

    def wal_receiver(self) -> Sequence[Any]:
        """Rows (status, sender_host, sender_port) of the DR region's WAL receiver: one, or none."""
        return self.dr.rows(_WAL_RECEIVER)

    def compare(self, table: RegionTable) -> TableDifference:
        """Rows of `table` written while the DR region served that are different in the two regions."""
        return compare_span(*self._copies(table), self.span, self.margin)

    def late_writes(self, table: RegionTable) -> TableDifference:
        """Rows of `table` written in the DR region after the switch that are missing or older in the original."""
        return late_writes(*self._copies(table), self.switched_at)

    def compare_sample(self, table: RegionTable, size: int) -> TableDifference:
        """Rows of before the outage, about `size` drawn in each region, that are different."""
        return compare_sample(*self._copies(table), size, self.seed, self.span, self.margin)

    def _copies(self, table: RegionTable) -> tuple[TableCopy, TableCopy]:
        original, dr = (
            TableCopy(_source(database), table.name, table.key, table.changed) for database in (self.original, self.dr)
        )
        return original, dr

    def _database(self, name: str) -> Postgres:
        return self.original if name == "original" else self.dr


def _source(database: Postgres) -> Callable[[str, Mapping[str, object]], Sequence[Any]]:
    return lambda sql, values: database.rows(sql, **values)
