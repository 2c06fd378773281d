"""Platform on a restored database: the sandbox's release, started by a rehearsal.

Everything except PostgreSQL is its own: services, cache, external systems, Prometheus and Alertmanager. Its cache
starts as a copy of the sandbox's, as a cache that survived the disaster, so that clearing it removes entries.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import tomllib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w
from redis import RedisError

from opsverify.language.message import say
from sandbox import network, redis, target_file
from sandbox.home import REPOSITORY, SERVICES, Control, ControlState, Settings, load_settings, write_atomic
from sandbox.parts import Parts
from sandbox.platform_processes import Platform
from sandbox.postgres import Cluster
from sandbox.processes import Table, signals_deferred
from sandbox.prometheus import Monitoring
from sandbox.servers import servers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMPONENTS = ("redis", "externals", "stable", "canary", "edge", "alertmanager", "prometheus")
_RATE = 5.0
_LEFT_OUT = ("recovery", "actions", "attestations")
_STOP_DEADLINE_S = 2.0
_LOOK_EVERY_S = 0.5


@contextmanager
def restored_platform(origin: Path, home: Path, database_port: int, progress: Callable[[str], None]) -> Iterator[Path]:
    """Start the platform of `origin`, with the faults that are on, on the database at `database_port`.

    Yields its target file. All files are in the folder `home`; on leaving, everything is stopped. Raises SandboxError
    where it does not start.
    """
    source = load_settings(origin)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source.secrets_dir, home / "secrets", dirs_exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="opsv-", ignore_cleanup_errors=True) as data:
        settings = _settings(home, Path(data), database_port, source.provider)
        settings.save()
        settings.logs_dir.mkdir(exist_ok=True)
        Control(home).write(ControlState(rate=_RATE, faults=Control(origin).read().faults))
        table = Table(home)
        parts = Parts(
            settings=settings,
            table=table,
            cluster=Cluster(settings, table),
            redis=redis.RedisServer(settings, table),
            monitoring=Monitoring(settings, table),
            platform=Platform(settings, table),
            control=Control(home),
            progress=progress,
        )
        try:
            started = {name: parts.start(name) for name in COMPONENTS}
            for name, running in started.items():
                parts.wait(name, running)
            _copy_cache(source, settings, progress)
            parts.monitoring.wait_scraped()
            yield _write_target(settings)
        finally:
            with signals_deferred():
                table.stop(table.all().keys(), deadline_s=_STOP_DEADLINE_S)
                servers_of(settings, table).sweep()


def serve(origin: Path, home: Path, database_port: int, progress: Callable[[str], None]) -> None:
    """Run the platform in the foreground until SIGTERM, SIGINT or the end of the calling process."""
    caller = os.getppid()
    with restored_platform(origin, home, database_port, progress) as target:
        progress(
            say(
                "the platform serves on the database at port {port}; target file: {file}",
                port=database_port,
                file=target,
            )
        )
        while os.getppid() == caller:  # a rehearsal that was killed must not leave a platform behind
            time.sleep(_LOOK_EVERY_S)


def _settings(home: Path, data: Path, database_port: int, provider: str) -> Settings:
    settings = Settings.build(home, network.free_port_base(len(SERVICES)), data)
    return replace(settings, ports={**settings.ports, "postgres": database_port}, provider=provider)


def _copy_cache(source: Settings, own: Settings, progress: Callable[[str], None]) -> None:
    """Copy every entry of the sandbox's cache with its remaining time to live."""
    try:
        with redis.raw_client(source) as cache, redis.raw_client(own) as copy:
            for key in cache.scan_iter(b"*", count=500):
                left, value = cache.pttl(key), cache.dump(key)
                if value is not None and left > 0:
                    copy.restore(key, left, value, replace=True)
    except RedisError as error:
        progress(
            say(
                "cache not copied ({error}): the restored platform starts with an empty cache",
                error=type(error).__name__,
            )
        )


def _write_target(settings: Settings) -> Path:
    """Write the target file: the sandbox's own, without what a platform in a rehearsal does not have."""
    template = (REPOSITORY / "targets" / "sandbox.toml").read_text(encoding="utf-8")
    content = tomllib.loads(target_file.filled(template, settings))
    for part in _LEFT_OUT:
        content.pop(part, None)
    content["name"] = "sandbox-restored"
    content["absent"] = ["regions", "recovery"]
    content["postgres"]["archives_wal"] = False
    path = settings.home / target_file.NAME
    write_atomic(path, tomli_w.dumps(content), mode=0o644)
    return path
