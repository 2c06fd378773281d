"""The cache probe on a cluster, and on a master that sentinels name: real servers, real failover."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis as client
from pydantic import ValidationError

from opsverify.config.database import Login
from opsverify.config.model import RedisConfig
from opsverify.errors import Unreachable
from opsverify.probes.local_timer import LocalTimer
from opsverify.probes.redis import Redis
from sandbox import binaries, network
from sandbox.processes import wait_until
from tests.probes.probe_servers import PASSWORD, free_port, listens, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SLOTS = 16384
PRIMARIES = 3
BUS = 10_000
"""How far above a server's port that of a cluster's own messages is."""


def start(around: ExitStack, folder: Path, *options: str) -> int:
    """Start a Redis that asks for a password; its port."""
    port = next(port for port in iter(free_port, None) if network.is_free(port + BUS))
    own = folder / str(port)
    own.mkdir()
    argv = [str(binaries.find(binaries.REDIS)), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(own)]
    argv += ["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--save", "", *options]
    around.enter_context(running(argv, own, lambda: listens(port), signal.SIGKILL))
    return port


def admin(port: int) -> client.Redis:
    """A connection that may do everything."""
    return client.Redis(port=port, password=PASSWORD, decode_responses=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, ...]]:
    """Ports of a cluster of three primaries, each with memory of its own."""
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as around:
        ports = tuple(
            start(around, folder, "--cluster-enabled", "yes", "--cluster-node-timeout", "60000", "--maxmemory",
                  f"{16 * number}mb")
            for number in range(1, PRIMARIES + 1)
        )  # fmt: skip
        for number, port in enumerate(ports):
            with admin(port) as node:
                first, end = SLOTS * number // PRIMARIES, SLOTS * (number + 1) // PRIMARIES
                run(node, "CLUSTER ADDSLOTS", *range(first, end))
                run(node, "CLUSTER MEET", "127.0.0.1", ports[0])
        wait_until(lambda: all(whole(port) for port in ports), 60, "the cluster to serve all slots")
        yield ports


def run(node: client.Redis, *command: Any) -> Any:  # noqa: ANN401 - any answer
    """Send one command."""
    return node.execute_command(*command)  # type: ignore[no-untyped-call]


def whole(port: int) -> bool:
    """Whether a node knows all the others and a cluster that serves."""
    with admin(port) as node:
        state = cast("dict[str, str]", run(node, "CLUSTER INFO"))
    return state["cluster_state"] == "ok" and int(state["cluster_known_nodes"]) == PRIMARIES


def probe(**config: object) -> Redis:
    """The probe of one target section."""
    return Redis(RedisConfig(**({"timeout_s": 60.0} | config)), PASSWORD, sentinel_password=PASSWORD)  # type: ignore[arg-type]


def test_a_cluster_is_every_primary(cluster: Sequence[int]) -> None:
    """Keys and evictions of all are added up; the memory is that of the fullest; every key's life is read."""
    names = [f"judgment:{number}" for number in range(300)]
    with client.RedisCluster(host="127.0.0.1", port=cluster[0], password=PASSWORD) as writer:
        for name in names:
            writer.set(name, "x", ex=600)
    with probe(host="127.0.0.1", port=cluster[1], cluster=True) as redis:
        info = redis.info()
        assert (info.keys, info.role) == (len(names), "master")
        assert info.memory_max == 16 * 1024 * 1024  # the smallest of the three is the fullest
        watch = LocalTimer()
        assert 0 < redis.ping() <= watch.elapsed_s
        assert len(redis.remaining("judgment:*")) == len(names)
        assert len(redis.remaining("judgment:*", most=50)) == 50
        counters = redis.counters()
        assert len(str(counters["run_id"]).split()) == PRIMARIES
    with ExitStack() as opened:
        nodes = [opened.enter_context(admin(port)) for port in cluster]
        sent = sum(cast("dict[str, int]", node.info("stats"))["total_commands_processed"] for node in nodes)
    assert 0 < counters["total_commands_processed"] <= sent


def test_a_cluster_that_does_not_serve_all_slots(cluster: Sequence[int]) -> None:
    """It answers PING everywhere, and refuses every key: that is no cache."""
    with admin(cluster[0]) as node:
        run(node, "CLUSTER DELSLOTS", 0)
        try:
            wait_until(lambda: not whole(cluster[0]), 60, "the cluster to notice")
            with (
                probe(host="127.0.0.1", port=cluster[0], cluster=True) as redis,
                pytest.raises(Unreachable, match="Redis cluster 127"),
            ):
                redis.ping()
        finally:
            run(node, "CLUSTER ADDSLOTS", 0)
            wait_until(lambda: all(map(whole, cluster)), 60, "the cluster to serve all slots again")


def test_the_master_that_sentinels_name(tmp_path: Path) -> None:
    """After a failover the probe measures the new master; a sentinel that is away is passed over."""
    with ExitStack() as around:
        first = start(around, tmp_path)
        second = start(around, tmp_path, "--replicaof", "127.0.0.1", str(first))
        config = tmp_path / "sentinel.conf"
        sentinel, away = free_port(), free_port()
        config.write_text(
            f"port {sentinel}\nbind 127.0.0.1\nrequirepass {PASSWORD}\n"
            f"sentinel monitor cache 127.0.0.1 {first} 1\nsentinel auth-pass cache {PASSWORD}\n",
            encoding="utf-8",
        )
        argv = [str(binaries.find(binaries.REDIS)), str(config), "--sentinel"]
        around.enter_context(running(argv, tmp_path, lambda: listens(sentinel), signal.SIGKILL))
        watcher = around.enter_context(admin(sentinel))
        wait_until(lambda: bool(run(watcher, "SENTINEL SLAVES", "cache")), 60, "the sentinel to see the replica")
        addresses = (f"127.0.0.1:{away}", f"127.0.0.1:{sentinel}")
        login = Login(user="default")
        redis = around.enter_context(probe(sentinels=addresses, master="cache", sentinel_login=login))
        assert redis.info().role == "master"
        with admin(first) as writer:
            writer.set("only-here", "1")
            wait_until(lambda: writer.wait(1, 1000) == 1, 60, "the replica to have the key")
        wait_until(lambda: failed_over(watcher), 60, "the sentinel to fail over")
        wait_until(lambda: master(watcher) == second, 60, "the sentinel to name the other one")
        redis.close()
        assert (redis.info().role, redis.info().keys) == ("master", 1)
        unknown = around.enter_context(probe(sentinels=addresses, master="other", sentinel_login=login))
        with pytest.raises(Unreachable, match="Redis other"):
            unknown.ping()


def failed_over(watcher: client.Redis) -> bool:
    """Whether the sentinel began a failover: it refuses until it knows that the replica is a good one."""
    try:
        run(watcher, "SENTINEL FAILOVER", "cache")
    except client.ResponseError:
        return False
    return True


def master(watcher: client.Redis) -> int:
    """The port that the sentinel names."""
    return int(run(watcher, "SENTINEL GET-MASTER-ADDR-BY-NAME", "cache")[1])


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, "expected one of host"),
        ({"host": "a", "sentinels": ("b:1",), "master": "m"}, "expected one of host"),
        ({"sentinels": ("b:1",)}, "sentinels and master belong together"),
        ({"host": "a", "master": "m"}, "sentinels and master belong together"),
        ({"sentinels": ("b",), "master": "m"}, "HOST:26379"),
        ({"host": "a", "cluster": True, "db": 1}, "only db = 0"),
    ],
)
def test_forms_that_contradict(section: dict[str, Any], said: str) -> None:
    """Each says what is expected."""
    with pytest.raises(ValidationError, match=said):
        RedisConfig(**section)
