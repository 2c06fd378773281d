"""Shop: PostgreSQL, two releases of the application, its customers and Prometheus, started and stopped together."""

from __future__ import annotations

import secrets
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from opsverify.language.message import say
from sandbox import network, recovery, unprivileged
from sandbox.errors import HomeError, SandboxError
from sandbox.history import capture_first
from sandbox.home import REPOSITORY, Control, ControlState, Settings, default_home, load_settings, locked, write_atomic
from sandbox.postgres import STOP_AT_ONCE
from sandbox.processes import Table, died, signals_deferred, wait_until
from sandbox.prometheus import Monitoring
from sandbox.servers import known_provider, servers_of
from sandbox.shop import faults
from sandbox.shop.cluster import ShopCluster
from sandbox.shop.settings import DEFAULT_PORT_BASE, ROLES, SERVICES, TEMPLATES
from sandbox.target_file import secrets_made

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sandbox.recovery import Backup, Restored
    from sandbox.started import Started

COMPONENTS = ("postgres", "stable", "canary", "traffic", "prometheus")
_START_DEADLINE_S = 60
_STOP_DEADLINE_S = 2.0
_DEFAULT_RATE = 20.0
_DEFAULT_CANARY_SHARE = 0.15
_TARGET = "targets/shop.toml"
_FILES = ("targets/shop.toml", "smoke/journeys.toml", "runbook.toml")
"""A project of one's own: what `opsverify init` would make, filled in."""


class Shop:
    """The stand-in shop of one home folder; as a context manager it is up inside and down afterwards."""

    def __init__(
        self,
        home: Path | str | None = None,
        port_base: int | None = None,
        *,
        rate: float = _DEFAULT_RATE,
        canary_share: float = _DEFAULT_CANARY_SHARE,
        provider: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = Path(home).expanduser().resolve() if home is not None else default_home() / "shop"
        self._port_base = DEFAULT_PORT_BASE if port_base is None else port_base
        self._start = ControlState(rate, canary_share)
        self._provider = provider
        self._progress = progress
        self._table = Table(self.home)

    @property
    def settings(self) -> Settings:
        """Ports, folders and secrets; SandboxError while the shop was not started."""
        return load_settings(self.home)

    @property
    def cluster(self) -> ShopCluster:
        """Its PostgreSQL."""
        return ShopCluster(self.settings, self._table)

    @property
    def target(self) -> Path:
        """The target file of this shop, for `--target`."""
        return self.home / _TARGET

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """Start what does not run yet and wait until all serves; stops all again if a new start fails."""
        self.home.mkdir(parents=True, exist_ok=True)
        with locked(self.home, "up"):
            if any(self._table.alive(name) for name in COMPONENTS):
                self._start_missing()
                return
            self._clear()
            try:
                self._prepare()
                self._start_missing()
                capture_first(self.target, self._progress)
            except BaseException:
                self._clear()
                raise

    def down(self) -> None:
        """Stop everything and delete the data; secrets and logs stay."""
        if not self.home.is_dir():
            return
        with locked(self.home, "up"):
            self._clear()
        self._progress(say("everything is stopped"))

    def status(self) -> dict[str, str]:
        """What each component does: `running (pid N)` or `stopped`."""
        return {
            name: say("running ({place})", place=running.place)
            if (running := self._table.alive(name))
            else say("stopped")
            for name in COMPONENTS
        }

    def faults(self) -> tuple[faults.ShopFault, ...]:
        """The catalogue of what can be broken."""
        return tuple(faults.CATALOGUE.values())

    def fault(self, name: str, scope: str | None = None, *, off: bool = False) -> None:
        """Switch the fault `name` on for one of its scopes (its first by default), or off."""
        with locked(self.home, "fault"):
            faults.switch(self, name, scope, off=off)

    def backup(self) -> Backup:
        """Take a base backup; the one before is replaced once the new one is complete."""
        return recovery.backup(self.cluster)

    def destroy_db(self) -> datetime:
        """Make the disaster: kill PostgreSQL and delete its data. Returns the moment (UTC)."""
        return recovery.destroy(self.cluster)

    def restore(self, target_time: datetime | str | None = None) -> Restored:
        """Bring the database back from base backup and WAL archive, as of `target_time` (None: the end)."""
        return recovery.restore(self.cluster, target_time)

    def start(self, name: str) -> Started:
        """Start a component other than postgres, without waiting for it."""
        settings = self.settings
        if name == "prometheus":
            return Monitoring(settings, self._table, TEMPLATES).start_prometheus(self._progress)
        module = "traffic" if name == "traffic" else "app"
        more = [] if name == "traffic" else ["--release", name]
        argv = [sys.executable, "-m", f"sandbox.shop.{module}", "--home", str(self.home), *more]
        return self._table.start(name, argv, log=self._log(name), cwd=REPOSITORY)

    def wait(self, name: str, running: Started) -> None:
        """Wait until a started component serves."""
        path = {"prometheus": "/-/ready"}.get(name, "/live")
        port = self.settings.ports[name]
        wait_until(
            lambda: network.is_ok(port, path), _START_DEADLINE_S, say("{name} to serve", name=name),
            lambda: died(name, running, self._log(name)),
        )  # fmt: skip

    def stop(self, name: str) -> None:
        """Stop one component in its orderly way."""
        self._table.stop([name], deadline_s=5.0)

    def settle(self) -> None:
        """Wait until Prometheus has scraped everything."""
        Monitoring(self.settings, self._table, TEMPLATES).wait_scraped()

    def wait_missed(self, name: str) -> None:
        """Wait until Prometheus has missed a component that was stopped."""
        Monitoring(self.settings, self._table, TEMPLATES).wait_missed(name)

    def _log(self, name: str) -> Path:
        return self.settings.logs_dir / f"{name}.log"

    def _prepare(self) -> None:
        provider = known_provider(self._provider)
        servers_of(Settings(self.home, self._port_base, self.home, {}, provider=provider), self._table).find(
            COMPONENTS, self._progress
        )
        ports = {service: self._port_base + offset for offset, service in enumerate(SERVICES)}
        for name, port in ports.items():
            if not network.is_free(port):
                raise SandboxError(
                    say(
                        "port {port} ({name}) is in use: stop what listens there, or give --port-base N",
                        port=port,
                        name=name,
                    )
                )
        data_dir = unprivileged.data_folder(unprivileged.identity())
        settings = Settings(self.home, self._port_base, data_dir, ports, provider=provider)
        settings.logs_dir.mkdir(exist_ok=True)
        settings.secrets_dir.mkdir(mode=0o700, exist_ok=True)
        for name in ROLES:
            if not (settings.secrets_dir / name).exists():
                write_atomic(settings.secrets_dir / name, secrets.token_urlsafe(24) + "\n")
        settings.save()
        Control(self.home).write(self._start)
        folder = self.home / "recovery"
        folder.mkdir()
        (folder / "base").symlink_to(settings.data_dir / "backups" / "base")
        (folder / "wal").symlink_to(settings.data_dir / "wal")
        made = secrets_made(settings)
        for name in _FILES:
            text = (TEMPLATES / Path(name).name).read_text(encoding="utf-8").replace("@home@", str(self.home))
            text = text.replace("@today@", made)
            for service, port in ports.items():
                text = text.replace(f"@{service}@", str(port))
            (self.home / name).parent.mkdir(exist_ok=True)
            write_atomic(self.home / name, text, mode=0o644)

    def _start_missing(self) -> None:
        if self._table.alive("postgres") is None:
            self._start_postgres()
        missing = [name for name in COMPONENTS if not self._table.alive(name)]
        started = {name: self.start(name) for name in missing}
        for name, running in started.items():
            if name != "traffic":
                self.wait(name, running)
        if "prometheus" in started:
            self.settle()
        self._progress(say("the shop serves"))

    def _start_postgres(self) -> None:
        cluster = self.cluster
        new = not cluster.archive.exists()
        if new:
            self._progress(say("making the shop's database"))
            cluster.create()
        cluster.start()
        if new:
            cluster.bootstrap()

    def _clear(self) -> None:
        # A second Ctrl-C, of an impatient person, must not leave half of it running.
        with signals_deferred():
            self._table.stop(self._table.all().keys(), deadline_s=_STOP_DEADLINE_S, signals={"postgres": STOP_AT_ONCE})
            with suppress(HomeError):
                servers_of(self.settings, self._table).sweep()
                shutil.rmtree(self.settings.data_dir, ignore_errors=True)
            shutil.rmtree(self.home / "recovery", ignore_errors=True)
            for name in ("settings.json", "control.json", *_FILES):
                (self.home / name).unlink(missing_ok=True)
