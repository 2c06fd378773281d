"""The cache probe against a real Redis server."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
import redis as client

from opsverify.config.model import RedisConfig
from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.local_timer import LocalTimer
from opsverify.probes.redis import Redis
from sandbox import binaries
from tests.probes.probe_servers import PASSWORD, free_port, listens, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.probes.probe_servers import Recorder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Port and process id of a Redis with a password, a memory limit and an append-only file."""
    folder: Path = tmp_path_factory.mktemp("redis")
    port = free_port()
    argv = [
        str(binaries.find(binaries.REDIS)),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(folder),
    ]
    argv += ["--requirepass", PASSWORD, "--maxmemory", "16mb", "--appendonly", "yes", "--save", ""]
    with running(argv, folder, lambda: listens(port), signal.SIGKILL) as process:
        with client.Redis(port=port, password=PASSWORD) as admin:
            admin.set("key", "value")
            admin.acl_setuser("blind", enabled=True, passwords=[f"+{PASSWORD}"], commands=["+ping", "+info"])
        yield port, process.pid


def _probe(port: int, password: str = PASSWORD, record: Recorder | None = None, **config: object) -> Redis:
    section = RedisConfig(**({"host": "127.0.0.1", "port": port, "timeout_s": 60.0} | config))  # type: ignore[arg-type]
    return Redis(section, password, record) if record else Redis(section, password)


def test_ping_and_info(server: tuple[int, int], recorder: Recorder) -> None:
    """A healthy cache as values, with INFO recorded."""
    with _probe(server[0], record=recorder) as probe:
        watch = LocalTimer()
        assert 0 < probe.ping() <= watch.elapsed_s
        info = probe.info()
    assert info.version.count(".") == 2
    assert 0 < info.memory_used < info.memory_max == 16 * 1024 * 1024
    assert (info.evicted_keys, info.persistence, info.last_save_ok, info.keys) == (0, "aof", True, 1)
    assert (info.role, info.connected_clients >= 1, info.uptime_s >= 0) == ("master", True, True)
    assert "aof_last_write_status" in recorder.text
    assert PASSWORD not in recorder.text


def test_persistence(server: tuple[int, int]) -> None:
    """Snapshots only, and nothing at all, are distinguished; where that is hidden nothing is measured."""
    with client.Redis(port=server[0], password=PASSWORD) as admin, _probe(server[0]) as probe:
        admin.config_set("appendonly", "no")
        try:
            assert probe.info().persistence == "none"
            admin.config_set("save", "3600 1")
            assert probe.info().persistence == "rdb"
            with _probe(server[0], username="blind") as blind, pytest.raises(Inconclusive, match="hidden"):
                _ = blind.info().persistence
        finally:
            admin.config_set("save", "")
            admin.config_set("appendonly", "yes")


def test_slow_events(server: tuple[int, int]) -> None:
    """The newest of each kind; without a threshold nothing is watched, which is not the same as no slow event."""
    with client.Redis(port=server[0], password=PASSWORD) as admin, _probe(server[0]) as probe:
        assert admin.config_get("latency-monitor-threshold") == {"latency-monitor-threshold": "0"}
        with pytest.raises(Inconclusive, match="latency-monitor-threshold is 0, slow events are not watched") as caught:
            probe.latency_events()
        assert "\n" not in str(caught.value)
        admin.config_set("latency-monitor-threshold", 3_600_000)
        try:
            assert probe.latency_events() == ()
            # As long as the command at least: whatever else a busy machine makes slow is an event by its own name.
            admin.config_set("latency-monitor-threshold", 20)
            admin.eval("for _ = 1, 3e7 do end", 0)
            events = {event.name: event for event in probe.latency_events()}
            assert events["command"].took_s >= 0.02
            with _probe(server[0], username="blind") as blind, pytest.raises(Inconclusive, match="rights"):
                blind.latency_events()
        finally:
            admin.config_set("latency-monitor-threshold", 0)


def test_connection_closed_between_checks(server: tuple[int, int]) -> None:
    """A connection that the server closed is made anew."""
    with client.Redis(port=server[0], password=PASSWORD) as admin, _probe(server[0]) as probe:
        probe.ping()
        admin.client_kill_filter(_type="normal", skipme=True)
        assert probe.ping() > 0


def test_no_server_is_unreachable(recorder: Recorder) -> None:
    """Nothing listening is no answer."""
    with _probe(free_port(), record=recorder) as probe, pytest.raises(Unreachable, match="no answer to PING"):
        probe.ping()
    assert "no answer" in recorder.text


def test_silence_is_unreachable(server: tuple[int, int]) -> None:
    """A frozen server runs into the timeout."""
    with _probe(server[0], timeout_s=0.2) as probe:
        os.kill(server[1], signal.SIGSTOP)
        try:
            with pytest.raises(Unreachable, match=r"within 0\.2 s") as caught:
                probe.ping()
            assert caught.value.by_clock
        finally:
            os.kill(server[1], signal.SIGCONT)


def test_wrong_password_is_inconclusive(server: tuple[int, int]) -> None:
    """A server that refuses us is up."""
    with (
        _probe(server[0], "planted-wrong") as probe,
        pytest.raises(Inconclusive, match="check username") as caught,
    ):
        probe.info()
    assert not isinstance(caught.value, Unreachable)
    assert "planted" not in str(caught.value)


def test_views_share_connections(server: tuple[int, int], recorder: Recorder) -> None:
    """A view records elsewhere over the same pool."""
    with _probe(server[0]) as probe:
        probe.recording(recorder).ping()
        assert probe.recording(recorder)._nodes is probe._nodes
    assert len(recorder.kept) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"db": 99}, r"no such database \(.*DB index is out of range\); correct redis\.db"),
        ({"tls": True, "timeout_s": 0.3}, r"within 0\.3 s; check its load, or set redis\.tls = false"),
    ],
    ids=str,
)
def test_what_a_wrong_key_of_the_target_says(server: tuple[int, int], given: dict[str, Any], said: str) -> None:
    """A reader is sent to the key, not to rights or load that are as they should be."""
    with _probe(server[0], **given) as probe, pytest.raises(Inconclusive, match=said):
        probe.info()
