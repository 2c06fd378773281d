"""Runbook 1, every day: what slowly makes a cache useless: evictions, rejections, wasted memory, slow events."""

from functools import partial

from opsverify import runbook, say

DAILY = partial(runbook, "1-daily/stores", stages=("daily",), needs=("redis",), severity="sev3")


@DAILY(
    id="daily.redis_growth",
    ko="Redis 상태: 키 축출과 연결 거부 증가",
    en="Evictions and rejections since the day before",
)
def test_growth(check, redis_growth):
    """Since the run before: one eviction in March says nothing about November."""
    check.measure(
        say("evicted keys"), redis_growth["evicted_keys"], check.limits.redis_evicted,
        of=say("keys evicted in {span}", span=redis_growth.span),
    )  # fmt: skip
    check.measure(
        say("rejected connections"), redis_growth["rejected_connections"], check.limits.redis_rejected,
        of=say("connections rejected in {span}", span=redis_growth.span),
    )  # fmt: skip


@DAILY(id="daily.redis_fragmentation", ko="Redis 상태: 메모리 단편화", en="Memory that Redis' allocator wastes")
def test_fragmentation(check, allocator_waste):
    """A factor says nothing on a small cache: it counts where the wasted bytes matter."""
    wasted, limit = allocator_waste, check.limits.redis_wasted
    if limit.holds(wasted.bytes):
        check.measure(say("wasted"), wasted.bytes, limit, of=say("wasted by the allocator ({factor:.2f}x)",
                                                                factor=wasted.factor))  # fmt: skip
    else:
        check.measure(
            say("fragmentation"), wasted.factor, check.limits.redis_fragmentation,
            of=say("allocator's memory over its use, {mb:,.0f} MB wasted", mb=wasted.bytes / 1e6),
        )  # fmt: skip


@DAILY(id="daily.redis_latency", ko="Redis 상태: 느린 이벤트", en="Slow events in Redis")
def test_latency(check, slow_events):
    """As Redis itself watches them; where it does not, nothing is known."""
    worst = max(slow_events, key=lambda event: event.took_s, default=None)
    check.measure(
        say("slow event"),
        worst.took_s if worst else 0,
        check.limits.redis_latency,
        of=say("newest {name} event of the last day", name=worst.name)
        if worst
        else say("no slow event of the last day"),
    )
