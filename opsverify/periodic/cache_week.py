"""Cache hit rate of a week from two sources: what Redis counted, and what the application counted.

Redis counts since its start: a rate over a year hides a bad week. So its growth since the earlier snapshot counts, or
all of it where Redis was started since then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.core.interval import Share
from opsverify.errors import Inconclusive
from opsverify.history.compare import NotComparable
from opsverify.language.message import say
from opsverify.metrics.signal_meaning import require_meaning
from opsverify.units import elapsed

if TYPE_CHECKING:
    from opsverify.config.signals import Signals
    from opsverify.history.run_history import RunHistory
    from opsverify.history.snapshot import Snapshot
    from opsverify.language.message import Message
    from opsverify.probes.prometheus import Prometheus

KEY = "server"


@dataclass(frozen=True, slots=True)
class CacheWeek:
    """Hits of one source out of its lookups, and the time that they cover."""

    hits: Share
    span_s: float


def redis_week(now: Snapshot, history: RunHistory) -> CacheWeek:
    """What Redis counted since the earlier snapshot, or since it was started, if that is later.

    Raises Inconclusive where neither is known.
    """
    found = history.look_back(now)
    row = now.rows[KEY]
    uptime = float(row["uptime_in_seconds"] or 0)
    if not isinstance(found, NotComparable):
        grown = found.growth(KEY, "keyspace_hits", "keyspace_misses")
        if grown is None:
            raise Inconclusive(
                say("{subject}: its statistics were reset (CONFIG RESETSTAT); the baseline begins now", subject="redis")
            )
        return _week(
            grown["keyspace_hits"], grown["keyspace_misses"], found.span_s,
            say("in the {age} since the last snapshot", age=elapsed(found.span_s)),
        )  # fmt: skip
    if found.kind in ("reset", "none") and uptime <= history.span_s:
        return _week(
            float(row["keyspace_hits"] or 0), float(row["keyspace_misses"] or 0), uptime,
            say("in the {age} since Redis was started", age=elapsed(uptime)),
        )  # fmt: skip
    raise Inconclusive(history.explain(now.subject, found))


def application_week(prometheus: Prometheus, signals: Signals, span_s: float) -> CacheWeek:
    """What the application counted over the same time. Raises Inconclusive."""
    name, good = signals.counted("cache_misses")
    window = f"{max(1, round(span_s))}s"
    lookups = _grown(prometheus, signals.of("cache_lookups").selector(), window)
    if lookups is None:
        raise Inconclusive(say("cache_lookups: no growth of {selector} in {window}; check that it is scraped",
                               selector=signals.of("cache_lookups").selector(), window=window))  # fmt: skip
    counted = _grown(prometheus, signals.of(name).selector(), window)
    if counted is None and not good:
        require_meaning(prometheus, signals, "cache_misses")
    hits = (counted or 0.0) if good else lookups - (counted or 0.0)
    return _week(hits, lookups - hits, span_s, say("in {age}, as the application counted", age=elapsed(span_s)))


def _grown(prometheus: Prometheus, selector: str, window: str) -> float | None:
    samples = prometheus.current(f"sum(increase({selector}[{window}]))").samples
    return samples[0].value if samples else None


def _week(hits: float, misses: float, span_s: float, text: Message) -> CacheWeek:
    lookups = max(0.0, hits) + max(0.0, misses)
    share = max(0.0, hits) / lookups if lookups else float("nan")
    return CacheWeek(
        Share(share, round(lookups), say("of {count:,.0f} lookups {text}", count=lookups, text=text)), span_s
    )
