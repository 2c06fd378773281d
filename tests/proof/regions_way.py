"""Two regions on the way through an incident, and what can go wrong on it."""

from __future__ import annotations

import multiprocessing
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, LiteralString

from standin import RUN_DEADLINE_S, Verified, run_opsverify, verified

from sandbox.redis import client
from sandbox.regions.ground import CACHE_TTL_S, DR, ORIGINAL, RESOLVERS, TTL_S, Zone
from sandbox.regions.target_file import RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.regions.pair import Regions

_PRELOAD = (
    "pytest", "allure_pytest.plugin", "opsverify.cli", "opsverify.fixtures", "opsverify.regions",
    "opsverify.recovery", "opsverify.evidence.seal", "opsverify.evidence.signature", "opsverify.traveller",
    "opsverify.probes.cache", "opsverify.probes.cleanup", "opsverify.probes.dns", "opsverify.probes.http",
    "opsverify.probes.postgres", "opsverify.probes.tls",
)  # fmt: skip


@dataclass
class RegionsOnTheirWay:
    """The regions, up, and the steps that lead from one state to the next; each is taken once, in this order."""

    regions: Regions
    folder: Path
    _taken: list[str] = field(default_factory=list)
    _runs: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self._warm = multiprocessing.get_context("forkserver")
        self._warm.set_forkserver_preload(list(_PRELOAD))

    def reach(self, state: str) -> None:
        """Take the steps up to `state`, and let the old record's time to live pass."""
        steps: dict[str, Callable[[], None]] = {
            "promoted": self.regions.promote,
            "started_old": self.regions.start_old,
            "reverse": self._reverse,
            "dr_as_standby": self.regions.keep_as_standby,
        }
        names = list(steps)
        for name in names[: names.index(state) + 1]:
            if name not in self._taken:
                steps[name]()
                self._taken.append(name)
        switched = self.regions.ground.switched_at
        assert switched is not None
        # Nothing can be awaited here: it is time itself that has to pass.
        time.sleep(max(0.0, switched.timestamp() + TTL_S + 0.01 - time.time()))

    def verify(self, stage: str) -> Verified:
        """Run a stage by `opsverify verify` in a fork of a warm process."""
        folder = self.folder / f"{next(self._runs):03d}-{stage}"
        log = folder.with_suffix(".log")
        argv = ["verify", stage, f"--target={self.regions.target}", f"--report-dir={folder}"]
        process = self._warm.Process(target=run_opsverify, args=(argv, str(log)))
        process.start()
        process.join(RUN_DEADLINE_S)
        code = process.exitcode
        return verified(folder, -1 if code is None else code, log.read_text(encoding="utf-8"))

    @contextmanager
    def fault(self, name: str | None) -> Iterator[None]:
        """Inside, `name` is wrong; afterwards it is not, where that can be undone."""
        if name is None:
            yield
            return
        with getattr(self, name)():
            yield

    def _reverse(self) -> None:
        self.regions.rewind()
        self.regions.switchback("reverse")

    @contextmanager
    def dns_old(self) -> Iterator[None]:
        """One of the resolvers still has the answer of before the switch."""
        serving = ORIGINAL if "reverse" in self._taken else DR
        before = DR if serving == ORIGINAL else ORIGINAL
        with self._zone(Zone(resolvers={RESOLVERS[0]: serving, RESOLVERS[1]: before})):
            yield

    @contextmanager
    def ingress_forwards(self) -> Iterator[None]:
        """The original region's ingress leads to the DR region."""
        with self._zone(Zone(fronts={ORIGINAL: DR, DR: DR})):
            yield

    @contextmanager
    def _zone(self, zone: Zone) -> Iterator[None]:
        zone.write(self.regions.home)
        yield
        Zone(resolvers=dict.fromkeys(RESOLVERS, ORIGINAL if "reverse" in self._taken else DR)).write(self.regions.home)

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
        """Three rows of before the outage are missing in the original region."""
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
        with self._cache() as cache:
            cache.set("judgment:of-before", "OK", ex=CACHE_TTL_S - 300)
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
        """The administration port takes connections."""
        with socket.create_server(("127.0.0.1", self.regions.ground.ports["admin"])):
            yield

    @contextmanager
    def ttl_running(self) -> Iterator[None]:
        """Resolvers may keep the old address for an hour."""
        with self._target(f'ttl = "{TTL_S}s"', 'ttl = "1h"'):
            yield

    @contextmanager
    def report_missing(self) -> Iterator[None]:
        """Nobody wrote the report."""
        path = self.regions.home / RECORD
        text = path.read_text(encoding="utf-8")
        path.unlink()
        yield
        path.write_text(text, encoding="utf-8")

    @contextmanager
    def fenced_late(self) -> Iterator[None]:
        """The DR region took writes after traffic had been given back; the next state rewinds it."""
        self.regions.write_unfenced()
        yield

    @contextmanager
    def replay_hangs(self) -> Iterator[None]:
        """The DR standby receives, and shows nothing of it."""
        cluster = self.regions.server(DR).cluster
        cluster.value("SELECT pg_wal_replay_pause()")
        yield
        cluster.value("SELECT pg_wal_replay_resume()")

    @contextmanager
    def follows_nobody(self) -> Iterator[None]:
        """The DR standby has lost its primary."""
        standby = self.regions.server(DR)
        said = standby.cluster.value("SHOW primary_conninfo")
        standby.cut_off()
        yield
        standby.cluster.alter_system("primary_conninfo", said)
        standby.await_streaming()

    @contextmanager
    def both_primaries(self) -> Iterator[None]:
        """The DR standby was promoted."""
        self.regions.server(DR).promote()
        yield

    @contextmanager
    def _cache(self) -> Iterator[object]:
        with client(self.regions.ground.region(ORIGINAL)) as cache:
            yield cache

    @contextmanager
    def _target(self, before: str, after: str) -> Iterator[None]:
        path = self.regions.target
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")
        yield
        path.write_text(text, encoding="utf-8")
