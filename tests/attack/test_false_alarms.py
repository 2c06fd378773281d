"""False alarms: what production is, or once was, is not red; what is declared must be true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from opsverify.config.database import Migration
from opsverify.config.model import RedisConfig
from opsverify.probes.postgres import Postgres
from opsverify.probes.redis import Redis
from tests.probes.probe_servers import PASSWORD

if TYPE_CHECKING:
    from tests.probes.probe_servers import Cluster


@pytest.fixture
def info(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Answers of INFO, one after the other, without a server."""
    answers: list[dict[str, Any]] = []
    monkeypatch.setattr("redis.Redis.info", lambda _self: answers.pop(0))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return answers


def _info(evicted: int, uptime: int = 100, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of INFO
    return {
        "redis_version": "7", "used_memory": 1, "maxmemory": 0, "evicted_keys": evicted, "connected_clients": 1,
        "role": "master", "uptime_in_seconds": uptime, "aof_enabled": 1, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [
        (_info(1), _info(1), 0),
        (_info(10**9), _info(10**9 + 2), 2),
        (_info(50, 1000), _info(3, 1), 3),
        (_info(50), _info(3), 3),
    ],
    ids=["once, long ago", "grows", "restarted", "reset"],
)
def test_evictions_are_a_growth(
    info: list[dict[str, Any]], before: dict[str, Any], after: dict[str, Any], grown: int
) -> None:
    """One eviction since the start is not red for ever; what is evicted now is."""
    info[:] = [before, after]
    assert Redis(RedisConfig(host="r")).evicted_within(1) == grown


def test_the_machines_memory(info: list[dict[str, Any]]) -> None:
    """Without maxmemory there is a number to compare with, where Redis reports it."""
    info[:] = [_info(0, total_system_memory=1000), _info(0)]
    probe = Redis(RedisConfig(host="r", maxmemory="unlimited"))
    assert (probe.info().memory_machine, probe.info().memory_machine) == (1000, 0)


def test_a_hanging_archive_command_is_seen(cluster: Cluster) -> None:
    """Segments that wait are counted, with the age of the oldest; a role without the right is told what to grant."""
    with cluster.superuser() as connection:
        connection.execute("GRANT pg_monitor TO reader")
        connection.execute("SELECT pg_switch_wal()")
        connection.execute("CREATE TABLE IF NOT EXISTS another (id int)")
    with Postgres(cluster.config(), PASSWORD) as probe:
        assert probe.archiver().enabled
        waiting = probe.waiting_segments()
    assert waiting.count >= 1
    assert waiting.oldest_s >= 0
    with cluster.superuser() as connection:
        connection.execute("REVOKE pg_monitor FROM reader")


def test_migrations_of_another_tool(cluster: Cluster) -> None:
    """A query gives the revision where no Alembic table exists."""
    migration = Migration(query="SELECT max(id)::text FROM numbers", head="600")
    assert migration.query is not None
    with Postgres(cluster.config(), PASSWORD) as probe:
        assert str(probe.value(migration.query)) == migration.head
