"""Redis server with a password, a memory limit and an append-only file."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

from redis import Redis, RedisError

from opsverify.language.message import say
from sandbox.home import JUDGMENT_KEYS
from sandbox.processes import died, wait_until
from sandbox.servers import servers_of

if TYPE_CHECKING:
    from sandbox.home import Settings
    from sandbox.processes import Table
    from sandbox.started import Started

_TEMPLATE = Path(__file__).parent / "templates" / "redis.conf"
_START_DEADLINE_S = 60
_ALLOW_DEBUG = "enable-debug-command local\n"
"""For the fault redis_stalled; Redis 7 and later refuse DEBUG without it, and earlier ones refuse the setting."""
_ALLOW_DEBUG_SINCE = 7
_FILLED_SHARE = 0.95
_FILLER = "sandbox:filler:"
_FILLER_BYTES = 64 * 1024


def client(settings: Settings) -> Redis:
    """Return a client with the sandbox's password; close it after use."""
    return _client(settings, decode_responses=True)


def raw_client(settings: Settings) -> Redis:
    """Return a client whose answers are bytes, as DUMP needs it; close it after use."""
    return _client(settings, decode_responses=False)


def _client(settings: Settings, *, decode_responses: bool) -> Redis:
    return Redis(
        host="127.0.0.1", port=settings.ports["redis"], password=settings.secret("redis"), socket_timeout=5,
        decode_responses=decode_responses,
    )  # fmt: skip


def fill(redis: Redis) -> None:
    """Add or remove fillers until 95 % of the memory limit is used, which evicts nothing.

    The size of a filler depends on the server's allocator, so `used_memory` is read again after each few.
    """
    while (missing := _missing_fillers(redis)) > 0:
        for _ in range(max(1, missing // 2)):
            add_filler(redis)
    if missing < 0:
        for key in list(redis.scan_iter(f"{_FILLER}*", count=1000))[:-missing]:
            redis.delete(key)


def add_filler(redis: Redis) -> None:
    """Write one key of 64 KB."""
    redis.setrange(f"{_FILLER}{random.getrandbits(64)}", _FILLER_BYTES, "x")


def remove_fillers(redis: Redis) -> None:
    """Remove every filler, then set the count of evicted keys back to 0: it counts since the start, or since this."""
    for key in redis.scan_iter(f"{_FILLER}*", count=1000):
        redis.delete(key)
    redis.config_resetstat()


def remove_judgments(redis: Redis) -> None:
    """Remove every cached judgment."""
    for key in redis.scan_iter(JUDGMENT_KEYS, count=1000):
        redis.delete(key)


def evicted(redis: Redis) -> int:
    """How many keys were evicted since the start or since `remove_fillers`."""
    return int(cast("dict[str, int]", redis.info("stats"))["evicted_keys"])


def _missing_fillers(redis: Redis) -> int:
    info = cast("dict[str, int]", redis.info("memory"))
    room = int(info["maxmemory"] * _FILLED_SHARE) - info["used_memory"]
    return int(room / _FILLER_BYTES)  # towards 0: less than one filler is neither added nor removed


class RedisServer:
    """The Redis of one sandbox; `table` keeps its server."""

    def __init__(self, settings: Settings, table: Table) -> None:
        self._settings = settings
        self._servers = servers_of(settings, table)
        self._folder = settings.data_dir / "redis"
        self.log = settings.logs_dir / "redis.log"

    def start(self) -> Started:
        """Start the server; it loads the append-only file of an earlier start."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        text = _TEMPLATE.read_text(encoding="utf-8")
        text = text.replace("@port@", str(self._settings.ports["redis"])).replace("@folder@", str(self._folder))
        if self._major() >= _ALLOW_DEBUG_SINCE:
            text += _ALLOW_DEBUG
        # By a file, because a password among the arguments would show in the list of processes.
        config = self._folder / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(text.replace("@password@", self._settings.secret("redis")), encoding="utf-8")
        return self._servers.start("redis", "redis-server", [str(config)], log=self.log)

    def wait(self, running: Started) -> None:
        """Wait until the server answers a ping."""
        wait_until(self._answers, _START_DEADLINE_S, say("Redis to answer"), lambda: died("Redis", running, self.log))

    def _major(self) -> int:
        version = self._servers.run("redis", "redis-server", ["--version"])
        found = re.search(r"\bv=(\d+)", version.stdout)
        return int(found[1]) if found else 0

    def _answers(self) -> bool:
        with client(self._settings) as connection:
            try:
                return bool(connection.ping())
            except RedisError:
                return False
