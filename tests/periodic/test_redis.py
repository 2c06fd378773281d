"""Reviews of Redis: the week's hit rate and not the lifetime's, growth since the day before, wasted memory."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, cast

import pytest

from opsverify.errors import Inconclusive
from opsverify.history.run_history import RunHistory
from opsverify.history.snapshot import Origin, Snapshot
from opsverify.history.store import HistoryStore
from opsverify.limits import Limit
from opsverify.periodic.cache_week import redis_week
from opsverify.periodic.growth import growth_of_a_day
from opsverify.periodic.redis_memory import allocator_waste
from opsverify.probes.redis_values import CacheInfo

if TYPE_CHECKING:
    from pathlib import Path

DAY_S = 86400
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def history(tmp_path: Path) -> RunHistory:
    """An empty one, whose comparisons need a day."""
    return RunHistory(HistoryStore(tmp_path / "h.sqlite"), "run", Limit(">=", DAY_S, "s"))


def redis(days_ago: float, hits: int, misses: int, *, run_id: str = "a", up_days: float = 300, **more: int) -> Snapshot:
    """What Redis counted since it was started."""
    row = {"keyspace_hits": hits, "keyspace_misses": misses, "uptime_in_seconds": int(up_days * DAY_S), **more}
    origin = Origin({"version": "7"}, {"run_id": run_id})
    return Snapshot("redis", NOW - dt.timedelta(days=days_ago), origin, {"server": row})


def test_a_bad_week_is_not_hidden_by_a_good_year(history: RunHistory) -> None:
    """Trap 15: 95 % since its start, 10 % this week: the week counts."""
    history.record(redis(7, 95_000_000, 5_000_000))
    week = redis_week(redis(0, 95_001_000, 5_009_000), history)
    assert week.hits.share == pytest.approx(0.1)
    assert week.hits.text == "of 10,000 lookups in the 168h 00m since the last snapshot"


def test_after_a_restart_the_window_begins_there(history: RunHistory) -> None:
    """Trap 15: what was counted before is gone; the rate is that since the start, and says so."""
    history.record(redis(7, 95_000_000, 5_000_000))
    week = redis_week(redis(0, 900, 100, run_id="b", up_days=2), history)
    assert week.hits.share == pytest.approx(0.9)
    assert "in the 48h 00m since Redis was started" in week.hits.text


@pytest.mark.parametrize(
    ("earlier", "now", "told"),
    [
        ([], redis(0, 900, 100), "no earlier snapshot; the baseline begins now"),
        ([redis(0.5, 900, 100)], redis(0, 990, 110), "not comparable yet"),
        ([redis(7, 900, 100)], redis(0, 90, 10), "statistics were reset (CONFIG RESETSTAT)"),
    ],
)
def test_without_a_week_there_is_no_rate(
    history: RunHistory, earlier: list[Snapshot], now: Snapshot, told: str
) -> None:
    """A lifetime's rate, a few hours', or a reset one are not the week's."""
    for one in earlier:
        history.record(one)
    with pytest.raises(Inconclusive) as caught:
        redis_week(now, history)
    assert told in str(caught.value)


def test_one_eviction_in_march_is_not_red_in_november(history: RunHistory) -> None:
    """Trap 18: the counter has it for ever, the growth since the run before has not."""
    history.record(redis(1, 1, 1, evicted_keys=1, rejected_connections=0))
    found = growth_of_a_day(redis(0, 1, 1, evicted_keys=1, rejected_connections=0), history, "evicted_keys")
    assert found["evicted_keys"] == 0
    assert found.span == "24h 00m"


def test_a_run_some_hours_earlier_than_yesterday_still_compares(history: RunHistory) -> None:
    """From day to day a quarter of the day is distance enough; after a restart all of it is the growth."""
    history.record(redis(0.8, 1, 1, evicted_keys=1))
    assert growth_of_a_day(redis(0, 1, 1, evicted_keys=5), history, "evicted_keys")["evicted_keys"] == 4
    restarted = redis(0, 1, 1, run_id="b", up_days=0.1, evicted_keys=3)
    assert growth_of_a_day(restarted, history, "evicted_keys", restarted_s=0.1 * DAY_S)["evicted_keys"] == 3
    with pytest.raises(Inconclusive, match="run_id was a, now b; the baseline begins now"):
        growth_of_a_day(redis(0, 1, 1, run_id="b", evicted_keys=3), history, "evicted_keys")
    with pytest.raises(Inconclusive, match="counters were reset since the run before"):
        growth_of_a_day(redis(0, 1, 1, evicted_keys=0), history, "evicted_keys")


@pytest.mark.parametrize(
    ("active", "allocated", "factor", "wasted"),
    [(3_600_000, 1_500_000, 2.4, 2_100_000), (3_600_000_000, 2_000_000_000, 1.8, 1_600_000_000)],
)
def test_fragmentation_is_a_factor_and_bytes(active: int, allocated: int, factor: float, wasted: int) -> None:
    """Trap 16: 2.4 on 1.5 MB wastes 2 MB, within the limit; 1.8 on 2 GB wastes 1.6 GB, and is judged as a factor."""
    found = allocator_waste({"allocator_active": active, "allocator_allocated": allocated})
    assert (found.factor, found.bytes) == (pytest.approx(factor), wasted)


def test_an_allocator_that_does_not_tell_is_named() -> None:
    """Without jemalloc there is no such figure: inconclusive, never 1.0."""
    with pytest.raises(Inconclusive, match="INFO has no allocator_active"):
        allocator_waste({"mem_fragmentation_ratio": 2.4})


@pytest.mark.parametrize(
    ("policy", "evicts"), [("allkeys-lru", True), ("allkeys-lfu", True), ("noeviction", False), ("volatile-lru", False)]
)
def test_a_policy_decides_whether_full_is_normal(policy: str, evicts: bool) -> None:  # noqa: FBT001
    """Trap 17: a cache that makes room by itself is meant to be full."""
    info = CacheInfo("7", 100, 100, 0, 0, "none", True, 1, "master", 1.0, 1, policy)  # noqa: FBT003 - as declared
    assert info.evicts is evicts
    assert cast("Any", info).memory_used / info.memory_max == 1
