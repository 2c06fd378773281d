"""A real Redis server with a password, a memory limit and an append-only file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis, RedisError

from sandbox import binaries
from sandbox.processes import died, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.home import Settings
    from sandbox.processes import Running, Table

_TEMPLATE = Path(__file__).parent / "templates" / "redis.conf"
_START_DEADLINE_S = 60


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


class RedisServer:
    """The Redis of one sandbox; `table` keeps its process."""

    def __init__(self, settings: Settings, table: Table) -> None:
        self._settings = settings
        self._table = table
        self._folder = settings.data_dir / "redis"
        self.log = settings.logs_dir / "redis.log"

    def start(self, progress: Callable[[str], None]) -> Running:
        """Start the server; it loads the append-only file of an earlier start."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        text = _TEMPLATE.read_text(encoding="utf-8")
        text = text.replace("@port@", str(self._settings.ports["redis"])).replace("@folder@", str(self._folder))
        # By a file, because a password among the arguments would show in the list of processes.
        config = self._folder / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(text.replace("@password@", self._settings.secret("redis")), encoding="utf-8")
        return self._table.start(
            "redis",
            [str(binaries.find(binaries.REDIS, progress)), str(config)],
            log=self.log,
            cwd=self._folder,
        )

    def wait(self, running: Running) -> None:
        """Wait until the server answers a ping."""
        wait_until(self._answers, _START_DEADLINE_S, "Redis to answer", lambda: died("Redis", running, self.log))

    def _answers(self) -> bool:
        with client(self._settings) as connection:
            try:
                return bool(connection.ping())
            except RedisError:
                return False
