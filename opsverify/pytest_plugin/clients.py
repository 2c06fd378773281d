"""Clients of one process: probes, each opened at first use, closed together."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from opsverify.config.model import require
from opsverify.evidence.redact import Recurring
from opsverify.probes.access import Access, access_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from opsverify.canary.window_setup import Setup
    from opsverify.config.connection import Connection
    from opsverify.config.database import PostgresNode
    from opsverify.core.check import Check
    from opsverify.probes.alertmanager import Alertmanager
    from opsverify.probes.http import Http
    from opsverify.probes.inbox import Inbox
    from opsverify.probes.mcp import Mcp
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.prometheus import Prometheus
    from opsverify.probes.redis import Redis
    from opsverify.pytest_plugin.stage_run import StageRun
    from opsverify.recovery.ledger.queries import Source

P = TypeVar("P")


class Connections:
    """The probes of one process, each opened at first use."""

    def __init__(self, run: StageRun) -> None:
        self.run = run
        self._open = ExitStack()
        self._made: dict[str, Any] = {}

    def close(self) -> None:
        """Close every connection."""
        self._open.close()

    @property
    def http(self) -> Http:
        """One pool of HTTP connections."""
        from opsverify.probes.http import Http  # noqa: PLC0415

        return self._once("http", lambda: Http(proxy=self.run.target.proxy))

    @property
    def postgres(self) -> Postgres:
        """One read-only session."""
        from opsverify.probes.postgres import Postgres  # noqa: PLC0415

        config = require(self.run.target.postgres)
        return self._once("postgres", lambda: Postgres(config, self.run.secrets.of(config.login.password)))

    def node(self, node: PostgresNode) -> Postgres:
        """One read-only session with another node of the platform's database."""
        from opsverify.probes.postgres import Postgres  # noqa: PLC0415

        config = require(self.run.target.postgres).of_node(node)
        password = self.run.secrets.of(config.login.password)
        return self._once(f"node {node.name}", lambda: Postgres(config, password))

    def region(self, name: str) -> Postgres:
        """One read-only session with the database of the region `original` or `dr`."""
        from opsverify.probes.postgres import Postgres  # noqa: PLC0415

        config = getattr(require(self.run.target.regions), name).database
        return self._once(f"{name} region", lambda: Postgres(config, self.run.secrets.of(config.login.password)))

    @property
    def original(self) -> Callable[[], Source] | None:
        """How to query the original database; None where the target names none."""
        config = self.run.target.recovery.source if self.run.target.recovery else None
        if config is None:
            return None

        def opened() -> Source:
            from opsverify.probes.postgres import Postgres  # noqa: PLC0415

            probe = self._once("original", lambda: Postgres(config, self.run.secrets.of(config.login.password)))
            return lambda sql, values: probe.rows(sql, **values)

        return opened

    @property
    def redis(self) -> Redis:
        """One client."""
        from opsverify.probes.redis import open_redis  # noqa: PLC0415

        config = require(self.run.target.redis)
        return self._once("redis", lambda: open_redis(config, self.run.secrets))

    @property
    def prometheus(self) -> Prometheus:
        """One session."""
        from opsverify.probes.prometheus import Prometheus  # noqa: PLC0415

        config = require(self.run.target.prometheus)
        return self._once("prometheus", lambda: Prometheus(config, self._access(config)))

    def alertmanager(self, check: Check) -> Alertmanager:
        """Alertmanager over the shared HTTP pool."""
        from opsverify.probes.alertmanager import Alertmanager  # noqa: PLC0415

        config = require(self.run.target.alertmanager)
        return Alertmanager(config, self.http.recording(check.attach), self._access(config))

    def inbox(self, check: Check) -> Inbox:
        """The notification channel's copy over the shared HTTP pool."""
        from opsverify.probes.inbox import Inbox  # noqa: PLC0415

        config = require(self.run.target.inbox)
        return Inbox(config, self.http.recording(check.attach), self._access(config))

    def mcp(self, check: Check, server: str) -> Mcp:
        """One MCP server."""
        from opsverify.probes.mcp import Mcp  # noqa: PLC0415

        config = self.run.target.mcp[server]
        return Mcp(config, self._access(config), check.attach)

    def observe(self, setup: Setup, keep: TextIO) -> None:
        """Observe the canary's window now; every step is written to `keep` as it comes."""
        from opsverify.canary.label_values import with_known_values  # noqa: PLC0415
        from opsverify.canary.observer import Clock, Observer, with_meanings  # noqa: PLC0415

        def write(part: str) -> None:
            keep.write(part)  # redacted by the observer, text by text: a line may have some megabytes
            if part.endswith("\n"):
                keep.flush()

        # The clock may be set during the window: only the start is taken from it.
        started = time.time() - time.monotonic()
        clock = Clock(lambda: started + time.monotonic(), lambda seconds: time.sleep(max(0.0, seconds)))
        target = self.run.target
        limit_s = target.limits.judgment_p95.bound
        setup = with_meanings(self.prometheus, require(target.prometheus).signals, setup, limit_s)
        setup = with_known_values(self.prometheus, setup)
        shown = Recurring(self.run.redactor)
        observer = Observer(self.prometheus, clock, self.run.say, write, limit_s, shown=shown.text, in_parts=True)
        observer.observe(setup)

    def _access(self, config: Connection) -> Access:
        return access_to(config, self.run.secrets, self.run.target.proxy)

    def _once(self, name: str, make: Callable[[], AbstractContextManager[P]]) -> P:
        if name not in self._made:
            self._made[name] = self._open.enter_context(make())
        probe: P = self._made[name]
        return probe
