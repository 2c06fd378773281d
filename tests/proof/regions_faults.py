"""Faults of two regions during an incident, each made for a while and then removed."""

from __future__ import annotations

import datetime as dt
import shutil
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

from opsverify.incident.checklist import STEPS, SWITCHBACK
from opsverify.incident.entries import Entry, declare, mark
from opsverify.incident.timeline import INCIDENTS, NAME
from sandbox.certificates import LIFETIME, Authority
from sandbox.postgres import SUPERUSER
from sandbox.redis import client
from sandbox.regions.ground import ADDRESSES, CACHE_TTL_S, DR, ORIGINAL, RESOLVERS, TTL_S, Zone
from sandbox.regions.ground import NAME as DNS_NAME
from sandbox.regions.target_file import RECORD
from tests.proof.tls_database import tls_database
from tests.proof.twin_faults import TwinFaults, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis


@dataclass(frozen=True)
class RegionFaults(TwinFaults):
    """Faults of `regions` by name, while the region `serving` serves; incidents are kept in `project`."""

    project: Path
    serving: str

    @contextmanager
    def dns_old(self) -> Iterator[None]:
        """One resolver still answers with the address of before the switch."""
        before = DR if self.serving == ORIGINAL else ORIGINAL
        with self._zone(Zone(resolvers={RESOLVERS[0]: self.serving, RESOLVERS[1]: before})):
            yield

    @contextmanager
    def ingress_forwards(self) -> Iterator[None]:
        """The original region's ingress forwards to the DR region."""
        with self._zone(Zone(fronts={ORIGINAL: DR, DR: DR})):
            yield

    @contextmanager
    def ingress_alternates(self) -> Iterator[None]:
        """The original region's ingress sends every second GET to the DR region."""
        with self._zone(Zone(alternating=(ORIGINAL,))):
            yield

    @contextmanager
    def _zone(self, zone: Zone) -> Iterator[None]:
        zone.write(self.regions.home)
        yield
        Zone(resolvers=dict.fromkeys(RESOLVERS, self.serving)).write(self.regions.home)

    @contextmanager
    def increment_lost(self) -> Iterator[None]:
        """Three rows that the DR region wrote are missing in the original one."""
        ground = self.regions.ground
        with self._lost(
            "judgment_executions", "created_at >= %s AND created_at < %s", ground.outage_at, ground.switched_at
        ):
            yield

    @contextmanager
    def older_rows_lost(self) -> Iterator[None]:
        """Three rows older than the outage are missing in the original region."""
        with self._lost("fact_daily_production", "changed_at < %s", self.regions.ground.outage_at):
            yield

    @contextmanager
    def _lost(self, table: LiteralString, where: LiteralString, *values: object) -> Iterator[None]:
        with self.regions.server(ORIGINAL).cluster.superuser() as database:
            chosen = f"SELECT ctid AS at, * FROM {table} WHERE {where} LIMIT 3"  # noqa: S608 - written in this file
            database.execute(f"CREATE TEMP TABLE kept AS {chosen}", values)
            database.execute(f"DELETE FROM {table} WHERE ctid IN (SELECT at FROM kept)")  # noqa: S608 - as above
            database.execute("ALTER TABLE kept DROP COLUMN at")
            yield
            database.execute(f"INSERT INTO {table} SELECT * FROM kept")  # noqa: S608

    @contextmanager
    def never_rewound(self) -> Iterator[None]:
        """A row that only the lost primary had committed is still in the original region."""
        sql = "INSERT INTO judgment_executions (line_code, result, created_at) VALUES ('L01', 'unsent', %s)"
        with self.regions.server(ORIGINAL).cluster.superuser() as database:
            database.execute(sql, (self.regions.ground.outage_at,))
            yield
            database.execute("DELETE FROM judgment_executions WHERE result = 'unsent'")

    @contextmanager
    def cache_not_cleared(self) -> Iterator[None]:
        """A judgment of five minutes before the switch is still cached."""
        switched_at = self.regions.ground.switched_at
        assert switched_at is not None
        # Not of five minutes ago: on a slow machine the switch itself was earlier.
        since = dt.datetime.now(dt.UTC) - switched_at
        with self._cache() as cache:
            cache.set("judgment:of-before", "OK", ex=CACHE_TTL_S - 300 - round(since.total_seconds()))
            yield
            cache.delete("judgment:of-before")

    @contextmanager
    def cache_not_rebuilt(self) -> Iterator[None]:
        """Nothing was cached since the switch."""
        with self._cache() as cache:
            cache.flushdb()
        yield
        self.regions.visit()

    @contextmanager
    def port_open(self) -> Iterator[None]:
        """The administration port accepts connections."""
        with socket.create_server(("127.0.0.1", self.regions.ground.ports["admin"])):
            yield

    @contextmanager
    def certificate_expired(self) -> Iterator[None]:
        """The original region's certificate has expired."""
        with self._certificate(Authority.load(self.regions.ground.tls), lifetime=-dt.timedelta(minutes=1)):
            yield

    @contextmanager
    def certificate_expiring(self) -> Iterator[None]:
        """The original region's certificate expires within the limit."""
        with self._certificate(Authority.load(self.regions.ground.tls), lifetime=dt.timedelta(days=3)):
            yield

    @contextmanager
    def certificate_of_another(self) -> Iterator[None]:
        """The original region's certificate is for another host name."""
        names = ("judgment.other.test", ADDRESSES[ORIGINAL])
        with self._certificate(Authority.load(self.regions.ground.tls), *names):
            yield

    @contextmanager
    def certificate_untrusted(self) -> Iterator[None]:
        """The original region's certificate is signed by an authority that no client trusts."""
        with self._certificate(Authority.create("rebuilt in a hurry")):
            yield

    @contextmanager
    def _certificate(self, authority: Authority, *names: str, lifetime: dt.timedelta = LIFETIME) -> Iterator[None]:
        path = self.regions.ground.certificate(ORIGINAL)
        with replaced(path, authority.issue(*(names or (DNS_NAME, ADDRESSES[ORIGINAL])), lifetime=lifetime)):
            yield

    @contextmanager
    def database_by_tls(self) -> Iterator[None]:
        """The original region's database requires TLS; its standby replicates on the same host."""
        port = self.regions.ground.ports[f"postgres-{ORIGINAL}"]
        text = self.regions.target.read_text(encoding="utf-8")
        head, section, rest = text.partition("[regions.original.database]")
        with tls_database(self.regions.ground.certificate(ORIGINAL), port) as secured:
            changed = rest.replace(f"port = {port}", f"port = {secured}", 1).replace('"disable"', '"require"', 1)
            with replaced(self.regions.target, head + section + changed):
                yield

    @contextmanager
    def replication_plain(self) -> Iterator[None]:
        """The original region's database requires TLS; its standby replicates over the network without it."""
        standby, primary = (self.regions.server(name).cluster for name in (DR, ORIGINAL))
        rules = primary.data / "pg_hba.conf"
        before = rules.read_text(encoding="utf-8")
        conninfo = standby.value("SHOW primary_conninfo")
        primary.write(rules, f"{before}host replication {SUPERUSER} 127.0.0.1/32 trust\n")
        primary.value("SELECT pg_reload_conf()")
        with self.database_by_tls():
            self._follow(f"host=127.0.0.1 port={primary.port} user={SUPERUSER} application_name={DR} sslmode=disable")
            yield
        self._follow(conninfo)
        primary.write(rules, before)
        primary.value("SELECT pg_reload_conf()")

    def _follow(self, conninfo: str) -> None:
        standby = self.regions.server(DR)
        standby.cut_off()
        standby.cluster.alter_system("primary_conninfo", conninfo)
        standby.await_streaming()

    @contextmanager
    def ttl_running(self) -> Iterator[None]:
        """The DNS record's TTL lets resolvers keep the old address for an hour."""
        with self._target(f'ttl = "{TTL_S}s"', 'ttl = "1h"'):
            yield

    @contextmanager
    def report_missing(self) -> Iterator[None]:
        """There is no report of the switchback."""
        path = self.regions.home / RECORD
        text = path.read_text(encoding="utf-8")
        path.unlink()
        yield
        path.write_text(text, encoding="utf-8")

    @contextmanager
    def reported(self) -> Iterator[None]:
        """The switchback is reported in the incident's timeline, without a signed record."""
        with self.report_missing(), self._incident(Entry(impact="all judgments", loss="none", actions=("none",))):
            yield

    @contextmanager
    def report_without_impact(self) -> Iterator[None]:
        """The report in the incident's timeline has no impact; a signed record does not replace it."""
        with self._incident(Entry(loss="none", actions=("none",), exception="impact is still being counted")):
            yield

    @contextmanager
    def report_changed(self) -> Iterator[None]:
        """The report in the incident's timeline was changed afterwards."""
        with self._incident(Entry(impact="all judgments", loss="none", actions=("none",))):
            (timeline,) = (self.project / "reports" / INCIDENTS).glob(f"*/{NAME}")
            timeline.write_text(timeline.read_text(encoding="utf-8").replace("all judgments", "none"), encoding="utf-8")
            yield

    @contextmanager
    def _incident(self, report: Entry) -> Iterator[None]:
        """An incident declared at the outage and recorded up to its report; the stage has not accepted yet."""
        target, ground = str(self.regions.target), self.regions.ground
        assert ground.outage_at is not None
        assert ground.switched_at is not None
        # The stages between are not run here: their gates have tests of their own (tests/switchback/test_report.py).
        step_entry = Entry(
            at=ground.switched_at.isoformat(), exception="recorded afterwards, for the proof",
            impact="all", loss="three commits", actions=("none",),
        )  # fmt: skip
        declare(target, self.project, Entry(at=ground.outage_at.isoformat()))
        for step in (*STEPS[1:], *SWITCHBACK[:-2]):
            mark(target, self.project, None, step.name, step_entry)
        mark(target, self.project, None, "report", report)
        yield
        shutil.rmtree(self.project / "reports" / INCIDENTS)

    @contextmanager
    def fenced_late(self) -> Iterator[None]:
        """The DR region accepted a write after traffic had returned; the next state rewinds it."""
        self.regions.write_unfenced()
        yield

    @contextmanager
    def replay_hangs(self) -> Iterator[None]:
        """The DR standby receives WAL and does not replay it."""
        cluster = self.regions.server(DR).cluster
        cluster.value("SELECT pg_wal_replay_pause()")
        yield
        cluster.value("SELECT pg_wal_replay_resume()")

    @contextmanager
    def follows_nobody(self) -> Iterator[None]:
        """The DR standby receives from no primary."""
        standby = self.regions.server(DR)
        conninfo = standby.cluster.value("SHOW primary_conninfo")
        standby.cut_off()
        yield
        standby.cluster.alter_system("primary_conninfo", conninfo)
        standby.await_streaming()

    @contextmanager
    def both_primaries(self) -> Iterator[None]:
        """The DR standby was promoted."""
        self.regions.server(DR).promote()
        yield

    @contextmanager
    def _cache(self) -> Iterator[Redis]:
        with client(self.regions.ground.region(ORIGINAL)) as cache:
            yield cache

    @contextmanager
    def _target(self, before: str, after: str) -> Iterator[None]:
        text = self.regions.target.read_text(encoding="utf-8")
        assert before in text
        with replaced(self.regions.target, text.replace(before, after)):
            yield
