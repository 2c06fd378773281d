"""Scope of a shared Prometheus: which scrape targets and rules are the platform's own, and of now."""

from __future__ import annotations

import time
from typing import Final, TypeVar

from opsverify.config.matchers import selects
from opsverify.language.message import say
from opsverify.probes.prometheus_values import Rule, ScrapeTarget
from opsverify.probes.source_fault import FaultReason, SourceFault
from opsverify.units import elapsed

STALE_S: Final = 300.0
"""Seconds after which an answer is not of now."""
_INTERVALS: Final = 5
T = TypeVar("T", Rule, ScrapeTarget)


def own(where: str, key: str, matchers: str, found: tuple[T, ...]) -> tuple[T, ...]:
    """Those that `matchers` (the target's prometheus.`key`) select.

    Raises SourceFault where they select none, and where one was read long ago, or in the future.
    """
    ours = tuple(one for one in found if selects(matchers, one.labels))
    if found and not ours:
        raise SourceFault(
            FaultReason.EMPTY,
            say(
                "{where}: prometheus.{key} ({matchers}) selects none of {count}; correct the matchers",
                where=where,
                key=key,
                matchers=matchers,
                count=len(found),
            ),
        )
    for one in ours:
        age_s = time.time() - one.last_at if one.last_at is not None else 0.0
        if age_s > max(STALE_S, _INTERVALS * one.every_s):
            raise SourceFault(
                FaultReason.STALE,
                say(
                    "{where}: {key}: {title} was last read {elapsed} ago; what it says is not of now; check "
                    "that Prometheus runs, and both clocks",
                    where=where,
                    key=key,
                    title=one.title,
                    elapsed=elapsed(age_s),
                ),
            )
        if age_s < -STALE_S:  # by a clock that is late, what is old looks new
            raise SourceFault(
                FaultReason.STALE,
                say(
                    "{where}: {key}: {title} was last read {elapsed} from now by this machine's clock; set the clocks, "
                    "then rerun",
                    where=where,
                    key=key,
                    title=one.title,
                    elapsed=elapsed(-age_s),
                ),
            )
    return ours
