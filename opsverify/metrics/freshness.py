"""Freshness of samples: a source that answers with old ones measures nothing of now."""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterable

SCRAPES: Final = 5
"""Scrapes that may be missing before samples are stale."""
LEAST_S: Final = 300.0
"""Seconds that samples may be old whatever their interval: Prometheus' own look-back."""


def require_fresh(signal: str, moments: Iterable[float], now: float | None = None) -> None:
    """Raise Inconclusive where the newest of `moments` (Unix seconds) is older than a few of their intervals."""
    found = sorted(set(moments))
    if not found:
        return
    gaps = [later - earlier for earlier, later in pairwise(found[-SCRAPES * 4 :])]
    tolerated_s = max(LEAST_S, SCRAPES * median(gaps) if gaps else 0.0)
    age_s = (time.time() if now is None else now) - found[-1]
    if age_s > tolerated_s:
        raise Inconclusive(
            say(
                "{signal}: stale, the newest sample is {age} old, limit {limit}; check that it is "
                "scraped, that Prometheus stores what it scrapes, and both clocks",
                signal=signal,
                age=elapsed(age_s),
                limit=elapsed(tolerated_s),
            )
        )
