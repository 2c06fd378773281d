"""Redis probe: the judgment cache, through redis-py."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, NoReturn

import redis as client

from opsverify.errors import Inconclusive, LoginRefused, Unreachable
from opsverify.language.message import say
from opsverify.probes.base import Probe
from opsverify.probes.local_timer import Elapsed, LocalTimer
from opsverify.probes.record import Record, discard
from opsverify.probes.redis_nodes import Node, RedisNodes
from opsverify.probes.redis_values import CacheInfo, LatencyEvent, Persistence, joined, shared, together
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.config.model import RedisConfig
    from opsverify.config.secrets import Secrets

_MOST_SCANS = 200
_SCAN_COUNT = 500
_GONE = -2


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

    def ping(self) -> Elapsed:
        """Seconds that a PING takes, with the connecting if there was no connection; of a cluster's slowest primary."""
        slowest = Elapsed()
        try:
            for node in self._nodes.all():
                watch = LocalTimer()
                node.ping()
                slowest = max(slowest, watch.elapsed_s)
        except client.RedisError as error:
            self._give_up("PING", error)
        self._record("Redis PING", f"{self._where}\nPONG after {slowest * 1000:.1f} ms")
        return slowest

    def info(self) -> CacheInfo:
        """Memory, evictions, persistence and keys; of a cluster together, with the memory of its fullest server."""
        return together([self._read(node, name, found) for node, name, found in self._infos()])

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
        return found[0] if len(found) == 1 else {name: joined([one[name] for one in found]) for name in shared(found)}

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
                policy=found.get("maxmemory_policy", "noeviction"),
            )
        except KeyError as error:
            raise Inconclusive(
                say(
                    "{where}: INFO has no {error}; check that it is Redis, and the user's rights",
                    where=self._where,
                    error=error,
                )
            ) from error

    def latency_events(self) -> tuple[LatencyEvent, ...]:
        """The newest slow event of each kind and server.

        Raises Inconclusive where a server does not watch for them, or this user may not ask.
        """
        events: list[LatencyEvent] = []
        try:
            for node in self._nodes.all():
                threshold = node.config_get("latency-monitor-threshold").get("latency-monitor-threshold")
                found: Any = node.execute_command("LATENCY", "LATEST")  # type: ignore[no-untyped-call]
                shown = f"{self._where}\nlatency-monitor-threshold {threshold}\n{found}"
                self._record("Redis LATENCY LATEST", shown)
                self._require_watched(int(threshold or 0))
                events += [LatencyEvent(str(name), float(at), latest / 1000) for name, at, latest, *_ in found]
        except client.RedisError as error:
            self._give_up("LATENCY LATEST", error)
        return tuple(events)

    def _require_watched(self, threshold: int) -> None:
        if not threshold:
            raise Inconclusive(
                say(
                    "{where}: latency-monitor-threshold is 0, slow events are not watched; "
                    "CONFIG SET latency-monitor-threshold 100",
                    where=self._where,
                )
            )

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
            failure = LoginRefused(
                say("{where}: login refused ({reason}); check username and password", where=where, reason=reason)
            )
        elif isinstance(error, client.TimeoutError):
            # A server without TLS waits for the rest of what it takes for a command.
            hint = say(", or set redis.tls = false where the server has no TLS") if self._config.tls else ""
            failure = Unreachable(
                say(
                    "{where}: no answer{detail} within {timeout_s:g} s; check its load{hint}",
                    where=where,
                    detail=say(" to {command}", command=command),
                    timeout_s=self._config.timeout_s,
                    hint=hint,
                ),
                by_clock=True,
                peers=self._nodes.peers,
            )
        elif isinstance(error, client.ConnectionError):
            failure = Unreachable(
                say(
                    "{where}: no answer{detail} ({reason}); check that it is up, and its host and port",
                    where=where,
                    detail=say(" to {command}", command=command),
                    reason=reason,
                ),
                peers=self._nodes.peers,
            )
        elif "DB index is out of range" in reason:
            failure = Inconclusive(
                say("{where}: no such database ({reason}); correct redis.db", where=where, reason=reason)
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
