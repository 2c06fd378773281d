"""Redis probe: the judgment cache, through redis-py."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeAlias

import redis as client

from opsverify.errors import Inconclusive, Unreachable
from opsverify.language.message import say
from opsverify.probes.base import Probe
from opsverify.probes.record import Record, discard
from opsverify.probes.redis_nodes import Node, RedisNodes
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.config.model import RedisConfig
    from opsverify.config.secrets import Secrets

Persistence: TypeAlias = Literal["aof", "rdb", "none"]
_WEAKEST_FIRST: Final[tuple[Persistence, ...]] = ("none", "rdb", "aof")
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


def _together(infos: Sequence[CacheInfo]) -> CacheInfo:
    """One cache of several servers: the memory of the fullest one, counts added up, the weakest persistence."""
    fullest = max(infos, key=lambda one: one.memory_used / (one.memory_max or one.memory_machine or math.inf))
    kinds = {one.configured_persistence for one in infos}
    weakest = next((kind for kind in _WEAKEST_FIRST if kind in kinds), None)
    return replace(
        fullest,
        evicted_keys=sum(one.evicted_keys for one in infos),
        configured_persistence=None if None in kinds else weakest,
        last_save_ok=all(one.last_save_ok for one in infos),
        connected_clients=sum(one.connected_clients for one in infos),
        uptime_s=min(one.uptime_s for one in infos),
        keys=sum(one.keys for one in infos),
    )


def _shared(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in found[0] if all(name in one for one in found)]


def _joined(values: Sequence[Any]) -> Any:  # noqa: ANN401 - whatever INFO holds
    numbers = all(isinstance(value, int | float) for value in values)
    return sum(values) if numbers else " ".join(sorted({str(value) for value in values}))


def _left(node: Node, pattern: str, most: int) -> list[int]:
    """Milliseconds left of up to `most` keys of one server."""
    keys: list[str | bytes] = []
    cursor = 0
    for _ in range(_MOST_SCANS):
        cursor, found = node.scan(cursor, match=pattern, count=_SCAN_COUNT)
        keys += found
        if not cursor or len(keys) >= most:
            break
    pipeline = node.pipeline(transaction=False)
    for key in keys[:most]:
        pipeline.pttl(key)
    left: list[int] = pipeline.execute()
    return left


class Redis(Probe):
    """Queries of the cache that change nothing in it."""

    def __init__(
        self,
        config: RedisConfig,
        password: str | None = None,
        record: Record = discard,
        *,
        sentinel_password: str | None = None,
    ) -> None:
        super().__init__(record)
        self._config = config
        self._nodes = RedisNodes(config, password, sentinel_password)

    def ping(self) -> float:
        """Seconds that a PING takes, with the connecting if there was no connection; of a cluster's slowest primary."""
        slowest = 0.0
        try:
            for node in self._nodes.all():
                started = time.perf_counter()
                node.ping()
                slowest = max(slowest, time.perf_counter() - started)
        except client.RedisError as error:
            self._give_up("PING", error)
        self._record("Redis PING", f"{self._where}\nPONG after {slowest * 1000:.1f} ms")
        return slowest

    def info(self) -> CacheInfo:
        """Memory, evictions, persistence and keys; of a cluster together, with the memory of its fullest server."""
        return _together([self._read(node, name, found) for node, name, found in self._infos()])

    def counters(self) -> Mapping[str, Any]:
        """Everything that INFO has, as it names it; numbers of a cluster's servers added up, texts joined.

        Raises Inconclusive where it lacks `run_id`.
        """
        found = [one for _, _, one in self._infos()]
        self._record("Redis INFO", json.dumps(found, indent=1, default=str), "json")
        if not all("run_id" in one for one in found):
            raise Inconclusive(
                say("{where}: INFO has no run_id; check that it is Redis, and the user's rights", where=self._where)
            )
        return found[0] if len(found) == 1 else {name: _joined([one[name] for one in found]) for name in _shared(found)}

    def _infos(self) -> list[tuple[Node, str, dict[str, Any]]]:
        try:
            return [(node, self._nodes.name(node), node.info()) for node in self._nodes.all()]
        except client.RedisError as error:
            self._give_up("INFO", error)

    def _read(self, node: Node, name: str, found: dict[str, Any]) -> CacheInfo:
        persistence, schedule = self._persistence(node, found)
        shown = {"INFO": found, "CONFIG GET save": schedule}
        self._record(f"Redis INFO {name}".strip(), json.dumps(shown, indent=1, default=str), "json")
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
        answers: list[int] = []
        try:
            for node in self._nodes.all():
                answers += _left(node, pattern, most - len(answers))
        except client.RedisError as error:
            self._give_up("SCAN and PTTL", error)
        # -2: the key expired between the two commands.
        left = tuple(math.inf if ms == -1 else ms / 1000 for ms in answers if ms != _GONE)
        span = say(", {least:.1f} to {most:.1f} s left", least=min(left), most=max(left)) if left else ""
        self._record("Redis SCAN and PTTL", f"{self._where}\n{pattern}: {len(left)} keys{span}")
        return left

    def close(self) -> None:
        """Close the connection; the probe may be used again."""
        self._nodes.close()

    @property
    def _where(self) -> str:
        return self._nodes.where

    def _persistence(self, node: Node, found: dict[str, Any]) -> tuple[Persistence | None, str | None]:
        if found.get("aof_enabled"):
            return "aof", say("not queried")
        # INFO does not include whether snapshots are scheduled.
        try:
            schedule = node.config_get("save").get("save", "")
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


def open_redis(config: RedisConfig, secrets: Secrets, record: Record = discard) -> Redis:
    """The probe of a target's cache, with its secrets filled in."""
    login = config.sentinel_login
    sentinel_password = secrets.of(login.password) if login else None
    return Redis(config, secrets.of(config.password), record, sentinel_password=sentinel_password)
