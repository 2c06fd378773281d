"""How old cached judgments are: whatever was judged before a change must not be served after it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.limits import Limit

if TYPE_CHECKING:
    import datetime as dt

    from opsverify.check import Check
    from opsverify.probes.cache import Redis


def measure_cached_since(check: Check, redis: Redis, since: dt.datetime) -> tuple[float, ...]:
    """Measure on `check` that no cached judgment is older than `since`; the ages (seconds) of all that were looked at.

    The age is the time to live that the target promises, less what is left of it. Raises Inconclusive where
    the target does not promise one, or where judgments never expire.
    """
    config = check.target.redis
    if config is None or config.cache_ttl_s is None:
        raise Inconclusive("the age of a cached judgment is not known: set redis.cache_ttl in the target")
    with check.must_answer("Redis"):
        remaining = redis.remaining(config.cache_keys)
    elapsed = time.time() - since.timestamp()
    ages = tuple(config.cache_ttl_s - left for left in remaining if math.isfinite(left))
    fresh = check.measure(
        "oldest",
        max(ages, default=0.0),
        Limit("<=", elapsed, "s"),
        samples=len(ages),
        of=f"is the oldest of {len(ages)} judgments",
    )
    if fresh and len(ages) < len(remaining):
        raise Inconclusive(
            f"{len(remaining) - len(ages)} of {len(remaining)} cached judgments never expire: their age is not known; "
            f"delete {config.cache_keys} keys without a time to live"
        )
    return ages
