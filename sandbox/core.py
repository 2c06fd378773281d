"""Sandbox: all components of one stand-in platform, started, changed and stopped together."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from opsverify.language.message import say
from sandbox import (
    faults,
    history,
    network,
    on_call,
    recovery,
    release,
    remedies,
    scaling,
    target_file,
    unprivileged,
)
from sandbox.errors import SandboxError, WrongUsage
from sandbox.home import (
    DEFAULT_CANARY_SHARE,
    DEFAULT_PORT_BASE,
    DEFAULT_RATE,
    PODS,
    SERVICES,
    Control,
    ControlState,
    Settings,
    create_secrets,
    default_home,
    load_settings,
    locked,
)
from sandbox.parts import Parts
from sandbox.platform_processes import HEARTBEAT, PROCESSES, Platform
from sandbox.postgres import STOP_AT_ONCE, Cluster
from sandbox.processes import Table, signals_deferred
from sandbox.prometheus import Monitoring
from sandbox.redis import RedisServer
from sandbox.servers import known_provider, servers_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import FrameType, TracebackType

    from sandbox.recovery import Backup, Restored
    from sandbox.started import Started

COMPONENTS = ("postgres", "redis", "externals", "stable", "canary", "edge", "prometheus", "alertmanager", HEARTBEAT)
_STOP_DEADLINE_S = 2.0


class Sandbox:
    """The stand-in platform of one home folder; as a context manager it is up inside and down afterwards."""

    def __init__(
        self,
        home: Path | str | None = None,
        port_base: int | None = None,
        *,
        rate: float = DEFAULT_RATE,
        canary_share: float = DEFAULT_CANARY_SHARE,
        provider: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = Path(home).expanduser().resolve() if home is not None else default_home()
        self._port_base = port_base
        self._provider = provider
        self._start = ControlState(_at_least_zero(rate), _share(canary_share))
        self._progress = progress
        self._table = Table(self.home)

    @property
    def settings(self) -> Settings:
        """Ports, folders and secrets; SandboxError while the sandbox was not started."""
        return load_settings(self.home)

    @property
    def target(self) -> Path:
        """The target file of this sandbox, for `--target`."""
        return self.home / target_file.NAME

    def __enter__(self) -> Self:
        self._handler = _exit_on_sigterm()
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.down()
        finally:
            if self._handler is not None:
                signal.signal(signal.SIGTERM, self._handler)

    def up(self) -> None:
        """Start what does not run yet and wait until all serves; stops all again if a new start fails."""
        self.home.mkdir(parents=True, exist_ok=True)
        with locked(self.home, "up"):
            if any(self._table.alive(name) for name in COMPONENTS):
                self._check_same_start()
                self._start_missing()
                return
            self._clear()
            try:
                self._prepare()
                target_file.write(self.settings, self._progress)
                on_call.write(self.home)
                self._start_missing()
                history.capture_first(self.target, self._progress)
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
        """Return what each component does: `running (pid N)`, `running (container N)` or `stopped`."""
        return {
            name: say("running ({place})", place=running.place)
            if (running := self._table.alive(name))
            else say("stopped")
            for name in (*COMPONENTS, *(pod for pod in PODS[1:] if self._table.alive(pod)))
        }

    def faults(self) -> tuple[faults.Fault, ...]:
        """Return the catalogue of what can be broken."""
        return tuple(faults.catalogue().values())

    def fault(self, name: str, scope: str | None = None, *, off: bool = False) -> None:
        """Switch the fault `name` on for one of its scopes (its first by default), or off."""
        faults.known(name)  # a name that is wrong is told first, also where nothing runs
        with locked(self.home, "fault"):
            faults.switch(self._parts(), name, scope, off=off)

    def remedy(self, name: str, *, off: bool = False, effect: bool = True) -> None:
        """Apply the remedy `name`, or withdraw it; without `effect` the platform only reports it."""
        with locked(self.home, "fault"):
            remedies.switch(self._parts(), name, off=off, effect=effect)

    def traffic(self, rate: float | None = None, canary_share: float | None = None) -> None:
        """Set the judgments per second and the canary's share (0..1) of the requests."""
        self._parts()
        Control(self.home).update(
            lambda state: replace(
                state,
                rate=state.rate if rate is None else _at_least_zero(rate),
                canary_share=state.canary_share if canary_share is None else _share(canary_share),
            )
        )

    def scale(self, pods: int, *, spare: bool = False) -> tuple[str, ...]:
        """Let so many pods serve the canary; with `spare` the others run idle, and need not be started when they come.

        Returns the pods that serve.
        """
        if not 1 <= pods <= len(PODS):
            raise WrongUsage(say("{pods} pods are out of range: expected 1 to {most}", pods=pods, most=len(PODS)))
        with locked(self.home, "fault"):
            parts = self._parts()
            serving = scaling.scaled(parts.control.read().canary_pods, pods)
            others = [pod for pod in PODS if pod not in serving]
            if spare:
                scaling.start(parts, (*serving, *others))
            scaling.serve(parts, serving)
            if not spare:
                scaling.stop(parts, [pod for pod in others if parts.table.alive(pod)])
        return serving

    def replace_pod(self) -> tuple[str, ...]:
        """Replace the newest pod of the canary by one of another name, as a rolling update does."""
        with locked(self.home, "fault"):
            parts = self._parts()
            serving = scaling.replaced(parts.control.read().canary_pods)
            scaling.serve(parts, serving)
        return serving

    def release(self, canary: str) -> None:
        """`good`: a canary without faults takes its usual share; `off`: the canary takes no traffic."""
        if canary not in ("good", "off"):
            raise WrongUsage(say("unknown canary release {given!r}: expected good or off", given=canary))
        for name, scope in Control(self.home).read().faults.items():
            if scope == "canary":
                self.fault(name, off=True)
        self.traffic(canary_share=DEFAULT_CANARY_SHARE if canary == "good" else 0.0)

    def migrate(self, direction: str) -> str:
        """Take the database one migration `down`, or `up` to the newest; the revision it is at then."""
        return release.migrate(self._parts(), direction)

    def clear_cache(self) -> int:
        """Remove every cached judgment, as an administrator would; how many there were."""
        return release.clear_cache(self.settings)

    def record_release(self, what: str, by: str) -> Path:
        """Write the deployment record; its file."""
        return release.record(self.settings, what, by)

    def backup(self) -> Backup:
        """Take a base backup; the one before is replaced once the new one is complete."""
        return recovery.backup(self._parts().cluster)

    def destroy_db(self) -> datetime:
        """Make the disaster: kill PostgreSQL and delete its data. Returns the moment (UTC)."""
        return recovery.destroy(self._parts().cluster)

    def restore(self, target_time: datetime | str | None = None) -> Restored:
        """Bring the database back from base backup and WAL archive, as of `target_time` (None: the end)."""
        return recovery.restore(self._parts().cluster, target_time)

    def _parts(self) -> Parts:
        settings = self.settings
        return Parts(
            settings=settings,
            table=self._table,
            cluster=Cluster(settings, self._table),
            redis=RedisServer(settings, self._table),
            monitoring=Monitoring(settings, self._table),
            platform=Platform(settings, self._table),
            control=Control(self.home),
            progress=self._progress,
        )

    def _check_same_start(self) -> None:
        base, provider = self.settings.port_base, self.settings.provider
        if self._provider not in (None, provider):
            raise SandboxError(
                say(
                    "the servers of the sandbox in {home} run as {provider}, not as {given}; run 'sandbox down' first",
                    home=self.home,
                    provider=provider,
                    given=self._provider,
                )
            )
        if self._port_base not in (None, base):
            raise SandboxError(
                say(
                    "the sandbox in {home} runs on port base {base}, not {given}; run 'sandbox down' first",
                    home=self.home,
                    base=base,
                    given=self._port_base,
                )
            )

    def _prepare(self) -> None:
        base = DEFAULT_PORT_BASE if self._port_base is None else self._port_base
        settings = replace(Settings.build(self.home, base, self.home), provider=known_provider(self._provider))
        for name, port in settings.ports.items():
            if not network.is_free(port):
                raise SandboxError(
                    say(
                        "port {port} ({name}) is in use: stop what listens there, or choose another base "
                        "than {base} with --port-base N (takes N to N+{more})",
                        port=port,
                        name=name,
                        base=base,
                        more=len(SERVICES) - 1,
                    )
                )
        servers_of(settings, self._table).find(COMPONENTS, self._progress)
        settings.logs_dir.mkdir(exist_ok=True)
        create_secrets(settings.secrets_dir)
        replace(settings, data_dir=unprivileged.data_folder(unprivileged.identity())).save()
        Control(self.home).write(self._start)
        self._link_recovery()

    def _link_recovery(self) -> None:
        settings, folder = self.settings, self.home / "recovery"
        folder.mkdir()
        (folder / "base").symlink_to(settings.data_dir / "backups" / "base")
        (folder / "wal").symlink_to(settings.data_dir / "wal")

    def _start_missing(self) -> None:
        parts = self._parts()
        held_down = faults.held_down(parts.control.read())
        missing = [name for name in COMPONENTS if name not in held_down and not self._table.alive(name)]
        started: dict[str, Started] = {}
        started |= {name: parts.start(name) for name in ("redis", "externals") if name in missing}
        if "postgres" in missing:
            self._start_postgres(parts)
        started |= {name: parts.start(name) for name in ("stable", "canary", "edge") if name in missing}
        if HEARTBEAT in missing:
            parts.platform.start_heartbeat()
        for name in PROCESSES:
            if name in started:
                parts.wait(name, started[name])
        self._progress(say("the platform serves"))
        started |= {name: parts.start(name) for name in ("alertmanager", "prometheus") if name in missing}
        for name in ("redis", "alertmanager", "prometheus"):
            if name in started:
                parts.wait(name, started[name])
        if "prometheus" in started and not held_down:
            parts.monitoring.wait_scraped()
        for name in missing:
            if (running := self._table.alive(name)) is None:
                raise SandboxError(
                    say(
                        "{name} ended after its start; see {log}",
                        name=name,
                        log=parts.settings.logs_dir / f"{name}.log",
                    )
                )
            self._progress(say("{name} runs ({place})", name=name, place=running.place))

    def _start_postgres(self, parts: Parts) -> None:
        new = not parts.cluster.archive.exists()
        if not new and not parts.cluster.data.exists():
            raise SandboxError(
                say("the database was destroyed: bring it back with 'sandbox restore', or run 'sandbox down'")
            )
        if new:
            self._progress(say("making the database"))
            parts.cluster.create()
        parts.cluster.start()
        if new:
            parts.cluster.bootstrap()
            self._progress(say("migrating and seeding the database"))
            parts.platform.migrate("upgrade")
            # As a database that has been running for long: reading old rows does not write their pages again.
            with parts.cluster.superuser() as connection:
                connection.execute("VACUUM (FREEZE, ANALYZE)")

    def _clear(self) -> None:
        # A second Ctrl-C, of an impatient person, must not leave half of it running.
        with signals_deferred():
            self._stop_and_delete()

    def _stop_and_delete(self) -> None:
        self._table.stop(self._table.all().keys(), deadline_s=_STOP_DEADLINE_S, signals={"postgres": STOP_AT_ONCE})
        try:
            settings = self.settings
        except SandboxError:
            pass
        else:
            servers_of(settings, self._table).sweep()
            shutil.rmtree(settings.data_dir, ignore_errors=True)
        shutil.rmtree(self.home / "recovery", ignore_errors=True)
        for name in ("settings.json", "control.json", target_file.NAME, release.RECORD):
            (self.home / name).unlink(missing_ok=True)


def _at_least_zero(rate: float) -> float:
    if not 0 <= rate < float("inf"):
        raise WrongUsage(say("rate {rate} is out of range: expected judgments per second, 0 or more", rate=rate))
    return rate


def _share(share: float) -> float:
    if not 0 <= share <= 1:
        raise WrongUsage(say("canary share {share} is out of range: expected 0 to 1, such as 0.15", share=share))
    return share


def _exit_on_sigterm() -> signal.Handlers | Callable[[int, FrameType | None], object] | None:
    """Let SIGTERM end the program through its `finally` clauses; None where that is not ours to decide."""
    if threading.current_thread() is not threading.main_thread():
        return None
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return None

    def leave(number: int, _: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    return signal.SIG_DFL
