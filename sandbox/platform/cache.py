"""Judgment cache in Redis; without Redis every lookup is a miss and nothing else fails."""

from __future__ import annotations

import json
import logging
from typing import Any

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from sandbox.home import JUDGMENT_KEYS

TTL_SECONDS = 60
SHORT_TTL_SECONDS = 15
"""Under the remedy `cache_ttl_short`."""
_TIMEOUT_SECONDS = 0.25
_log = logging.getLogger(__name__)


class Cache:
    """Results of judgments for `TTL_SECONDS`."""

    def __init__(self, port: int, password: str) -> None:
        self._redis = redis.Redis(
            host="127.0.0.1",
            port=port,
            password=password,
            protocol=2,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._away = False
        self.errors = 0

    async def get(self, key: str) -> dict[str, Any] | None:
        """The cached result, or None."""
        try:
            text = await self._redis.get(key)
        except (RedisError, OSError) as error:
            self._note(error)
            return None
        self._note(None)
        return json.loads(text) if text else None

    async def put(self, key: str, result: dict[str, Any], ttl_s: int = TTL_SECONDS) -> None:
        """Remember a result for `ttl_s` seconds; a failure is noted only."""
        try:
            await self._redis.set(key, json.dumps(result), ex=ttl_s)
        except (RedisError, OSError) as error:
            self._note(error)

    async def clear(self) -> int:
        """Remove all results; how many there were. Raises RedisError when Redis does not answer."""
        removed = 0
        async for key in self._redis.scan_iter(JUDGMENT_KEYS, count=500):
            removed += await self._redis.delete(key)
        return removed

    async def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError):
            return False

    async def close(self) -> None:
        """Give up the connections."""
        await self._redis.aclose()

    def _note(self, error: Exception | None) -> None:
        if error is not None and not self._away:
            _log.warning("Redis: %s; going on without the cache", type(error).__name__)
        self._away = error is not None
        if error is not None:
            self.errors += 1
