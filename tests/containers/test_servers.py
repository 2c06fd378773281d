"""Servers in containers, one by one: started, signalled, stopped, and nothing left of them."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sandbox import SandboxError, network, recovery, unprivileged
from sandbox.containers import LABEL
from sandbox.home import CONTAINERS, SERVICES, Settings, create_secrets
from sandbox.postgres import Cluster
from sandbox.processes import Table
from sandbox.redis import RedisServer, client
from sandbox.servers import servers_of
from tests.support.engine import containers_of, volumes, volumes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

pytestmark = pytest.mark.usefixtures("server_images")


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A home whose servers run in containers; none may be left."""
    data = unprivileged.data_folder(unprivileged.identity())
    made = replace(Settings.build(tmp_path, network.free_port_base(len(SERVICES)), data), provider=CONTAINERS)
    made.save()
    create_secrets(made.secrets_dir)
    made.logs_dir.mkdir()
    yield made
    servers_of(made, Table(tmp_path)).sweep()
    shutil.rmtree(data)


def test_redis(settings: Settings, docker: DockerClient) -> None:
    """It serves at its port with its password, without privileges; another command stops it, with its volumes."""
    server = RedisServer(settings, Table(settings.home))
    started = server.start()
    server.wait(started)
    with client(settings) as redis:
        assert redis.info("server")["tcp_port"] == settings.ports["redis"]
    (found,) = docker.containers.list(filters={"label": f"{LABEL}={settings.home}"})
    assert started.place == f"container {found.short_id}"
    assert found.attrs["HostConfig"]["CapDrop"] == ["ALL"]
    assert found.attrs["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    assert found.attrs["Config"]["User"] == f"{os.geteuid()}:{os.getegid()}"
    table, asked_for = Table(settings.home), volumes_of(settings.home)
    assert asked_for
    assert table.alive("redis") == started
    table.stop(["redis"], deadline_s=60)
    assert not started.alive
    assert table.all() == {}
    assert containers_of(settings.home) == []
    assert not asked_for & volumes()


def test_postgres(settings: Settings) -> None:
    """Made, backed up, destroyed, restored and stopped by an image's programs, with files of its usual user."""
    cluster = Cluster(settings, Table(settings.home))
    cluster.create()
    cluster.start()
    try:
        uid, _ = unprivileged.identity() or (os.geteuid(), 0)
        assert (cluster.data / "PG_VERSION").stat().st_uid == uid
        cluster.bootstrap()
        assert cluster.value("SELECT current_database()") == cluster.database
        recovery.backup(cluster)
        with pytest.raises(SandboxError, match="pg_basebackup failed: "):
            cluster.run("pg_basebackup", "--no-such-option")
        recovery.destroy(cluster)
        assert recovery.restore(cluster, None).timeline == 2
    finally:
        cluster.stop()
    assert "database system is shut down" in cluster.log.read_text(encoding="utf-8")
    assert containers_of(settings.home) == []


def test_a_server_that_ends_is_named_with_its_last_line(settings: Settings) -> None:
    """As for a process: the wait ends at once, and its log is where a process's is."""
    log = settings.logs_dir / "redis.log"
    started = servers_of(settings, Table(settings.home)).start("redis", "redis-server", ["--no-such-option"], log=log)
    with pytest.raises(SandboxError, match=r"Redis ended right after its start: .+ \(see .*redis\.log\)"):
        RedisServer(settings, Table(settings.home)).wait(started)


def test_a_container_that_is_gone_counts_as_ended(settings: Settings, docker: DockerClient) -> None:
    """Somebody removed it: signals and stopping do nothing, and are no error."""
    table = Table(settings.home)
    server = RedisServer(settings, table)
    started = server.start()
    docker.containers.get(started.to_dict()["container"]).remove(force=True, v=True)
    assert table.alive("redis") is None
    started.send(signal.SIGTERM)
    table.stop(["redis"], deadline_s=60)
    assert table.all() == {}
