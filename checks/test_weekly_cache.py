"""Runbook 1, every week: the cache hit rate, of the week and from two sources."""

from functools import partial

from opsverify import runbook, say

WEEKLY = partial(runbook, "1-weekly/cache", stages=("weekly",), severity="sev3")


@WEEKLY(
    id="weekly.cache_hits",
    needs=("redis",),
    ko="캐시 적중률 점검: 한 주 동안 Redis가 센 적중률",
    en="Cache hit rate of the week, as Redis counted it",
)
def test_cache_hits(check, cache_week):
    """Not since Redis was started: a rate over a year hides a bad week."""
    hits = cache_week.hits
    check.enough(say("cache lookups"), hits.trials)
    check.measure(say("cache hits"), hits.share, check.limits.cache_hit_rate, samples=hits.trials, of=hits.text)


@WEEKLY(
    id="weekly.cache_hits_application",
    needs=("prometheus",),
    signals=("cache_misses", "cache_lookups"),
    ko="캐시 적중률 점검: 한 주 동안 애플리케이션이 센 적중률",
    en="Cache hit rate of the week, as the application counted it",
)
def test_cache_hits_of_the_application(check, application_cache_week):
    """A lookup that never reaches Redis (its address is wrong) is a miss here, and nothing in Redis."""
    hits = application_cache_week.hits
    check.enough(say("cache lookups"), hits.trials)
    check.measure(say("cache hits"), hits.share, check.limits.cache_hit_rate, samples=hits.trials, of=hits.text)
