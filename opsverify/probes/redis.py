"""Redis probe: the judgment cache, through redis-py."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

import redis as client
from redis.backoff import NoBackoff
from redis.retry import Retry

from opsverify.errors import Inconclusive, Unreachable
from opsverify.language.message import say
from opsverify.probes.base import Probe
from opsverify.probes.environment import plain_process
from opsverify.probes.record import Record, discard
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from opsverify.config.model import RedisConfig

Persistence: TypeAlias = Literal["aof", "rdb", "none"]
_MOST_SCANS = 200
_SCAN_COUNT = 500
_GONE = -2


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """Values of INFO: bytes, seconds, counts since its start; `memory_max` 0: no limit; `memory_machine` 0: unknown."""

    version: str
    memory_used: int
    memory_max: int
    memory_machine: int
    evicted_keys: int
    configured_persistence: Persistence | None
    last_save_ok: bool
    connected_clients: int
    role: str
    uptime_s: float
    keys: int

    @property
    def persistence(self) -> Persistence:
        """How data outlive a restart. Raises Inconclusive where this user may not read it."""
        if self.configured_persistence is None:
            raise Inconclusive(
                say("Redis: persistence is hidden from this user; allow it +config|get, or declare it elsewhere")
            )
        return self.configured_persistence


class _PlainTls(client.SSLConnection):
    """A TLS connection that trusts this machine's authorities, whatever `SSL_CERT_FILE` holds."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> Any:  # noqa: ANN401 - as its base
        with plain_process():
            return super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]


class Redis(Probe):
    """Queries of the cache that change nothing in it."""

    def __init__(self, config: RedisConfig, password: str | None = None, record: Record = discard) -> None:
        super().__init__(record)
        self._config = config
        self._client = client.Redis(
            # No client_name: CLIENT SETNAME would need a right that nothing else here needs.
            host=config.host, port=config.port, db=config.db, username=config.username, password=password,
            ssl=config.tls, socket_timeout=config.timeout_s, socket_connect_timeout=config.timeout_s,
            decode_responses=True, retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        if config.tls:
            self._client.connection_pool.connection_class = _PlainTls

    def ping(self) -> float:
        """Seconds that a PING takes, with the connecting if there was no connection."""
        started = time.perf_counter()
        try:
            self._client.ping()
        except client.RedisError as error:
            self._give_up("PING", error)
        elapsed = time.perf_counter() - started
        self._record("Redis PING", f"{self._where}\nPONG after {elapsed * 1000:.1f} ms")
        return elapsed

    def info(self) -> CacheInfo:
        """Memory, evictions, persistence and keys."""
        try:
            found: dict[str, Any] = self._client.info()
        except client.RedisError as error:
            self._give_up("INFO", error)
        persistence, schedule = self._persistence(found)
        shown = {"INFO": found, "CONFIG GET save": schedule}
        self._record("Redis INFO", json.dumps(shown, indent=1, default=str), "json")
        statuses = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        try:
            return CacheInfo(
                version=found["redis_version"],
                memory_used=found["used_memory"],
                memory_max=found["maxmemory"],
                memory_machine=found.get("total_system_memory", 0),
                evicted_keys=found["evicted_keys"],
                configured_persistence=persistence,
                last_save_ok=all(found.get(status, "ok") == "ok" for status in statuses),
                connected_clients=found["connected_clients"],
                role=found["role"],
                uptime_s=float(found["uptime_in_seconds"]),
                keys=found.get(f"db{self._config.db}", {}).get("keys", 0),
            )
        except KeyError as error:
            raise Inconclusive(
                say(
                    "{where}: INFO has no {error}; check that it is Redis, and the user's rights",
                    where=self._where,
                    error=error,
                )
            ) from error

    def counters(self) -> Mapping[str, Any]:
        """Everything that INFO has, as it names it. Raises Inconclusive where it lacks `run_id`."""
        try:
            found: dict[str, Any] = self._client.info()
        except client.RedisError as error:
            self._give_up("INFO", error)
        self._record("Redis INFO", json.dumps(found, indent=1, default=str), "json")
        if "run_id" not in found:
            raise Inconclusive(
                say("{where}: INFO has no run_id; check that it is Redis, and the user's rights", where=self._where)
            )
        return found

    def evicted_within(self, seconds: float) -> int:
        """Keys that are evicted during the next `seconds`: the counter itself only ever grows."""
        before = self.info()
        time.sleep(seconds)
        after = self.info()
        restarted = after.uptime_s < before.uptime_s or after.evicted_keys < before.evicted_keys
        return after.evicted_keys - (0 if restarted else before.evicted_keys)

    def remaining(self, pattern: str, most: int = 1000) -> tuple[float, ...]:
        """Seconds left to live of up to `most` keys that match `pattern`; infinite for keys that never expire.

        Reads with SCAN and PTTL, in bounded portions; a large cache is a sample.
        """
        keys: list[str | bytes] = []
        cursor = 0
        try:
            for _ in range(_MOST_SCANS):
                cursor, found = self._client.scan(cursor, match=pattern, count=_SCAN_COUNT)
                keys += found
                if not cursor or len(keys) >= most:
                    break
            pipeline = self._client.pipeline(transaction=False)
            for key in keys[:most]:
                pipeline.pttl(key)
            answers: list[int] = pipeline.execute()
        except client.RedisError as error:
            self._give_up("SCAN and PTTL", error)
        # -2: the key expired between the two commands.
        left = tuple(math.inf if ms == -1 else ms / 1000 for ms in answers if ms != _GONE)
        span = f", {min(left):.1f} to {max(left):.1f} s left" if left else ""
        self._record("Redis SCAN and PTTL", f"{self._where}\n{pattern}: {len(left)} keys{span}")
        return left

    def close(self) -> None:
        """Close the connection; the probe may be used again."""
        self._client.close()

    @property
    def _where(self) -> str:
        return f"Redis {self._config.host}:{self._config.port}"

    def _persistence(self, found: dict[str, Any]) -> tuple[Persistence | None, str | None]:
        if found.get("aof_enabled"):
            return "aof", "not queried"
        # INFO does not include whether snapshots are scheduled.
        try:
            schedule = self._client.config_get("save").get("save", "")
        except client.ResponseError as error:
            return None, one_line(error)
        except client.RedisError as error:
            self._give_up("CONFIG GET", error)
        return ("rdb" if schedule else "none"), schedule

    def _give_up(self, command: str, error: client.RedisError) -> NoReturn:
        where, reason = self._where, one_line(error)
        failure: Inconclusive
        if isinstance(error, client.AuthenticationError | client.exceptions.AuthorizationError):
            failure = Inconclusive(
                say(
                    "{where}: {command} refused ({reason}); check username and password",
                    where=where,
                    command=command,
                    reason=reason,
                )
            )
        elif isinstance(error, client.TimeoutError):
            failure = Unreachable(
                say(
                    "{where}: no answer to {command} within {timeout_s:g} s; check its load",
                    where=where,
                    command=command,
                    timeout_s=self._config.timeout_s,
                )
            )
        elif isinstance(error, client.ConnectionError):
            failure = Unreachable(
                say(
                    "{where}: no answer to {command} ({reason}); check that it is up, and its host and port",
                    where=where,
                    command=command,
                    reason=reason,
                )
            )
        else:
            failure = Inconclusive(
                say(
                    "{where}: {command} refused ({reason}); check the user's rights",
                    where=where,
                    command=command,
                    reason=reason,
                )
            )
        self._record(f"Redis {command}", str(failure))
        raise failure from error
