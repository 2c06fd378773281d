"""Pair of regions: start both, lose the original one, promote the DR region, switch back."""

from __future__ import annotations

import shutil
import ssl
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from opsverify.language.message import say
from sandbox import network, unprivileged
from sandbox.certificates import Authority
from sandbox.errors import SandboxError
from sandbox.home import REPOSITORY, create_secrets, default_home, locked
from sandbox.postgres import STOP_AT_ONCE
from sandbox.processes import Table, died, signals_deferred, wait_until
from sandbox.redis import RedisServer, client
from sandbox.regions import target_file
from sandbox.regions.ground import (
    ADDRESSES,
    DEFAULT_PORT_BASE,
    DR,
    NAME,
    ORIGINAL,
    REGIONS,
    RESOLVERS,
    SERVICES,
    Ground,
    Zone,
    load,
    read_zone,
)
from sandbox.regions.server import RegionServer

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = "regions"
_FRONT = "front"
_DEADLINE_S = 60
_STOP_DEADLINE_S = 5.0


class Regions:
    """The two regions of one home folder; as a context manager they are up inside and down afterwards."""

    def __init__(
        self,
        home: Path | str | None = None,
        port_base: int | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = (Path(home).expanduser().resolve() if home is not None else default_home()) / FOLDER
        self._port_base = DEFAULT_PORT_BASE if port_base is None else port_base
        self._progress = progress
        self._table = Table(self.home)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def ground(self) -> Ground:
        """Folders, ports and what has happened; SandboxError while the regions are not up."""
        return load(self.home)

    @property
    def target(self) -> Path:
        """The target file of the region that serves, for `--target`."""
        return self.home / target_file.NAME

    def server(self, region: str) -> RegionServer:
        """The database server of a region."""
        return RegionServer(region, self.ground.region(region))

    def up(self) -> None:
        """Bring both regions up: the original one serves, the other one follows. Stops all if that fails."""
        self.home.mkdir(parents=True, exist_ok=True)
        with locked(self.home, "up"):
            self._clear()
            try:
                self._prepare()
                self._start_cache()
                self.server(ORIGINAL).create()
                self._progress(say("the original region's database runs"))
                self.server(DR).clone(self.server(ORIGINAL))
                self._progress(say("the DR region's database follows it"))
                self._start_front()
                self._serve_from(ORIGINAL)
            except BaseException:
                self._clear()
                raise

    def promote(self) -> None:
        """The disaster: the original region is cut off and crashes; the DR region is promoted and takes writes."""
        original, standing_in = self.server(ORIGINAL), self.server(DR)
        if not (original.running and standing_in.in_recovery):
            raise SandboxError(say("promote: the original region has to run, with the DR region as its standby"))
        original.work()
        standing_in.await_all_of(original)
        outage_at = datetime.now(UTC)
        standing_in.cut_off()
        original.write_unsent()
        original.stop(STOP_AT_ONCE)
        self._progress(say("the original region is lost, with three commits that never left it"))
        standing_in.promote()
        replace(self.ground, outage_at=outage_at, switched_at=datetime.now(UTC)).save()
        self._serve_from(DR)
        standing_in.work()
        self._progress(say("the DR region serves and writes"))

    def start_old(self) -> None:
        """The mistake: start the lost primary again as it is, and give it the traffic back."""
        self.server(ORIGINAL).cluster.start()
        replace(self.ground, switched_at=datetime.now(UTC)).save()
        self._serve_from(ORIGINAL)

    def rewind(self) -> str:
        """Take back what only the original region has, and let it follow the DR region; the output of pg_rewind."""
        original, standing_in = self.server(ORIGINAL), self.server(DR)
        if standing_in.in_recovery:
            raise SandboxError(say("rewind: the DR region is no primary; run 'sandbox regions promote' first"))
        original.stop()
        said = original.rewind(standing_in)
        self._progress(say("the original region follows the DR region"))
        return said

    def switchback(self, choice: str) -> None:
        """Give traffic back: `dr_as_standby` lets the DR region follow, `reverse` leaves it read-only as it is."""
        original, standing_in = self.server(ORIGINAL), self.server(DR)
        if standing_in.in_recovery or not original.in_recovery:
            raise SandboxError(say("switchback: the original region has to follow the DR region; run 'rewind' first"))
        standing_in.stop()  # a primary that stops in good order has sent its last record
        self._progress(say("the DR region is fenced: it takes no writes any more"))
        original.promote()
        switched_at = datetime.now(UTC)
        with client(self.ground.region(ORIGINAL)) as cache:
            cache.flushdb()
        replace(self.ground, switched_at=switched_at, choice=choice).save()
        self._serve_from(ORIGINAL)
        self.visit()
        standing_in.follow(original if choice == "dr_as_standby" else None)
        target_file.record(self.ground)
        self._progress(say("the original region serves again; the DR region: {choice}", choice=choice))

    def write_unfenced(self) -> None:
        """The mistake: the DR region, left as it was, is a primary for a moment and takes a write."""
        standing_in = self.server(DR)
        standing_in.stop()
        standing_in.lead()
        standing_in.write_unsent()
        standing_in.stop()
        standing_in.follow(None)

    def keep_as_standby(self) -> None:
        """Let a DR region that was left as it was (`reverse`) follow the original one after all, rewound if need be."""
        standing_in = self.server(DR)
        standing_in.stop()
        self._set_aside()
        standing_in.rewind(self.server(ORIGINAL))
        replace(self.ground, choice="dr_as_standby").save()
        target_file.write(self.ground, ORIGINAL)

    def _set_aside(self) -> None:
        """Move WAL away that the DR region archived after its fence, as one does who has saved the rows in it."""
        switched_at = self.ground.switched_at
        for path in (self.ground.region(DR).data_dir / "wal").iterdir():
            if switched_at is not None and path.stat().st_mtime > switched_at.timestamp():
                path.unlink()

    def visit(self, times: int = 3) -> None:
        """Ask for judgments as users do, at the address that the first resolver gives: the cache fills."""
        region = read_zone(self.home).resolvers[RESOLVERS[0]]
        for _ in range(times):
            status = network.post(
                ADDRESSES[region], self.ground.ports["http"], "/v1/judgments", {"line_code": "L02"}, self._trust()
            )
            if status != network.OK:
                raise SandboxError(
                    say(
                        "a judgment at {address} answered with status {status}",
                        address=ADDRESSES[region],
                        status=status,
                    )
                )

    def status(self) -> dict[str, str]:
        """What each part does, and where the resolvers send clients."""
        found: dict[str, str] = {}
        for name in REGIONS:
            server = self.server(name)
            role = (say("standby") if server.in_recovery else say("primary")) if server.running else say("stopped")
            found[f"database {name}"] = role
        found[_FRONT] = say("running") if self._table.alive(_FRONT) else say("stopped")
        resolvers = read_zone(self.home).resolvers
        found |= {name: say("sends clients to {region}", region=region) for name, region in resolvers.items()}
        return found

    def down(self) -> None:
        """Stop everything and delete the data."""
        if self.home.is_dir():
            with locked(self.home, "up"):
                self._clear()
        self._progress(say("both regions are stopped"))

    def _prepare(self) -> None:
        ports = {name: self._port_base + offset for offset, name in enumerate(SERVICES)}
        for name, port in ports.items():
            if not network.is_free(port):
                raise SandboxError(
                    say("port {port} ({name}) is in use: choose another base with --port-base N", port=port, name=name)
                )
        ground = Ground(self.home, unprivileged.data_folder(unprivileged.identity()), ports)
        ground.save()
        Zone().write(self.home)
        create_secrets(self.home / "secrets")
        self._certify(ground)
        for name in REGIONS:
            settings = ground.region(name)
            settings.logs_dir.mkdir(parents=True, exist_ok=True)
            settings.secrets_dir.symlink_to(self.home / "secrets")
            settings.data_dir.mkdir(mode=0o711)

    def _certify(self, ground: Ground) -> None:
        ground.tls.mkdir(mode=0o700)
        authority = Authority.create("authority of the two regions")
        authority.save(ground.tls)
        for region, address in ADDRESSES.items():
            ground.certificate(region).write_text(authority.issue(NAME, address), encoding="ascii")

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ground.tls / "authority.pem")

    def _start_cache(self) -> None:
        settings = self.ground.region(ORIGINAL)
        redis = RedisServer(settings, Table(settings.home))
        redis.wait(redis.start())

    def _start_front(self) -> None:
        log = self.home / "front.log"
        running = self._table.start(
            _FRONT, [sys.executable, "-m", "sandbox.regions.front", "--home", str(self.home)], log=log, cwd=REPOSITORY
        )
        port, tls = self.ground.ports["http"], self._trust()
        wait_until(
            lambda: network.is_ok(port, "/health", tls), _DEADLINE_S, say("the ingress to answer"),
            lambda: died(_FRONT, running, log),
        )  # fmt: skip

    def _serve_from(self, region: str) -> None:
        Zone(resolvers=dict.fromkeys(RESOLVERS, region)).write(self.home)
        target_file.write(self.ground, region)

    def _clear(self) -> None:
        with signals_deferred():
            for home in (self.home, *(self.home / name for name in REGIONS)):
                if not home.is_dir():
                    continue
                table = Table(home)
                table.stop(table.all().keys(), deadline_s=_STOP_DEADLINE_S, signals={"postgres": STOP_AT_ONCE})
            try:
                data_dir = self.ground.data_dir
            except SandboxError:
                pass
            else:
                shutil.rmtree(data_dir, ignore_errors=True)
            for path in self.home.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif not path.name.startswith("."):
                    path.unlink()
