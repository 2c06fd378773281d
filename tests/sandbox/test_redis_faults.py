"""Faults that fill Redis, on a real server: what they change, and that nothing of it stays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import network, process_faults
from sandbox.home import SERVICES, Settings, create_secrets
from sandbox.processes import Table
from sandbox.redis import RedisServer, add_filler, client, evicted, fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Any]:
    """Run the Redis of a sandbox of which nothing else is up."""
    settings = Settings.build(tmp_path, network.free_port_base(len(SERVICES)), tmp_path)
    settings.save()
    create_secrets(settings.secrets_dir)
    settings.logs_dir.mkdir()
    table = Table(tmp_path)
    server = RedisServer(settings, table)
    try:
        server.wait(server.start())
        yield SimpleNamespace(settings=settings, table=table)
    finally:
        table.stop(table.all().keys(), deadline_s=60)


@pytest.fixture
def redis(parts: Any) -> Iterator[Redis]:  # noqa: ANN401 - the parts that these faults need
    """Provide a client of that Redis."""
    with client(parts.settings) as connection:
        yield connection


def memory_used(redis: Redis) -> float:
    """Share of the memory limit that is in use."""
    info: Any = redis.info("memory")
    return float(info["used_memory"] / info["maxmemory"])


def test_full_memory_evicts_nothing(parts: Any, redis: Redis) -> None:  # noqa: ANN401
    """The fault fills the memory and, as long as the cache leaves the rest free, evicts no key."""
    process_faults.carry_out(parts, "redis_memory", "all", on=True)
    assert 0.9 < memory_used(redis) < 1
    assert evicted(redis) == 0
    process_faults.carry_out(parts, "redis_memory", "all", on=False)
    assert memory_used(redis) < 0.1


def test_memory_stays_full_while_the_cache_grows(redis: Redis) -> None:
    """Fillers make room for what the platform caches meanwhile: the memory neither overflows nor empties."""
    fill(redis)
    for number in range(16):
        redis.set(f"judgment:{number}", "x" * 100_000)
        fill(redis)
    assert 0.9 < memory_used(redis) < 1
    assert evicted(redis) == 0


def test_no_eviction_is_left_when_the_fault_is_off(parts: Any, redis: Redis) -> None:  # noqa: ANN401
    """Evictions are counted while the fault is on, and from 0 again for whatever runs next."""
    process_faults.carry_out(parts, "redis_evictions", "all", on=True)
    assert evicted(redis) > 0
    process_faults.carry_out(parts, "redis_evictions", "all", on=False)
    assert (evicted(redis), redis.dbsize()) == (0, 0)


def test_holder_that_was_killed_leaves_nothing(parts: Any, redis: Redis) -> None:  # noqa: ANN401
    """Switching off removes what a holder wrote that had no time to do anything at its end."""
    for _ in range(600):
        add_filler(redis)
    assert evicted(redis) > 0
    process_faults.carry_out(parts, "redis_evictions", "all", on=False)
    assert (evicted(redis), redis.dbsize()) == (0, 0)
