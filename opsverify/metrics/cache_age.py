"""Age of cached judgments: what was judged before a change must not be served after it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.limits import Limit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from opsverify.config.model import RedisConfig
    from opsverify.core.check import Check
    from opsverify.probes.redis import Redis


@dataclass(frozen=True)
class Cached:
    """Cached judgments at one moment: seconds each has left to live (None: for ever) of the `ttl_s` it began with.

    `at` is the moment in Unix seconds.
    """

    at: float
    ttl_s: float
    left_s: tuple[float | None, ...]

    @classmethod
    def read(cls, redis: Redis, config: RedisConfig | None) -> Self:
        """The cached judgments now. Raises Inconclusive where the target has no time to live."""
        if config is None or config.cache_ttl_s is None:
            raise Inconclusive(say("missing redis.cache_ttl: the age of a cached judgment is computed from it"))
        left = redis.remaining(config.cache_keys)
        return cls(time.time(), config.cache_ttl_s, tuple(s if math.isfinite(s) else None for s in left))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """What `vars()` of one made, after JSON."""
        return cls(raw["at"], raw["ttl_s"], tuple(raw["left_s"]))

    @property
    def ages_s(self) -> tuple[float, ...]:
        """Seconds since each was cached, of those that expire."""
        return tuple(self.ttl_s - left for left in self.left_s if left is not None)

    def measure(self, check: Check, since: dt.datetime) -> None:
        """Measure on `check` that none is older than `since`. Raises Inconclusive where some never expire."""
        ages = self.ages_s
        fresh = check.measure(
            say("oldest"),
            max(ages, default=0.0),
            Limit("<=", self.at - since.timestamp(), "s"),
            samples=len(ages),
            of=say("is the oldest of {count} judgments", count=len(ages)),
        )
        unexpiring = len(self.left_s) - len(ages)
        if fresh and unexpiring:
            raise Inconclusive(
                say(
                    "{unexpiring} of {count} cached judgments never expire, so their age is unknown; delete those keys",
                    unexpiring=unexpiring,
                    count=len(self.left_s),
                )
            )


def measure_cached_since(check: Check, redis: Redis, since: dt.datetime) -> Cached:
    """Measure on `check` that no cached judgment is older than `since`; the cached judgments.

    Raises Inconclusive where the target has no time to live, or where judgments never expire.
    """
    with check.must_answer(say("Redis")):
        cached = Cached.read(redis, check.target.redis)
    cached.measure(check, since)
    return cached


def measure_rebuilt(check: Check, cached: Cached, since: dt.datetime) -> None:
    """Measure on `check` that the cache was cleared at `since` or later, and fills again."""
    cached.measure(check, since)
    check.measure(say("cached"), len(cached.ages_s), Limit(">=", 1, "count"), of=say("judgments cached since"))
