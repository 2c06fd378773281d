"""Runbook 1 daily: the judgment cache answers, has room, and keeps what it should keep."""

from functools import partial

from opsverify import SERVING, Limit, runbook, say

# In an incident of the cache itself its playbook measures the platform, which may have to do without.
STAGES = tuple(stage for stage in SERVING if stage != "incident-cache")
FULL = Limit("<=", 1.1, "ratio")  # buffers of clients are not counted when keys are evicted
CACHE = partial(runbook, stages=STAGES, needs=("redis",))


@CACHE("1-daily/stores", id="health.redis.answers", severity="sev2", ko="Redis가 응답하는가", en="Redis answers")
def test_answers(check, redis):
    """Without its cache the platform computes every judgment again."""
    with check.must_answer(say("Redis")):
        check.measure(say("ping"), redis.ping(), check.limits.service_latency)


@CACHE(
    "1-daily/stores",
    id="health.redis.memory",
    severity="sev2",
    ko="Redis 메모리에 여유가 있는가",
    en="Redis has memory to spare",
)
def test_memory(check, redis):
    """A full cache evicts or refuses."""
    with check.must_answer(say("Redis")):
        info = redis.info()
    most, of = info.memory_max, say("of maxmemory used")
    if not most and check.target.redis.maxmemory == "unlimited":
        most, of = info.memory_machine, say("of the machine's memory used, maxmemory unlimited as declared")
    if not most:
        check.fail(
            say(
                "maxmemory is not set: Redis may take the whole machine; set it, or maxmemory = "
                '"unlimited" in [redis] of the target'
            )
        )
    if info.memory_max and info.evicts:
        # A cache that makes room by itself is meant to be full; what it costs, the evictions show.
        check.measure(
            say("memory"), info.memory_used / most, FULL, of=say("of maxmemory used, {policy} makes room",
                                                                 policy=info.policy),
        )  # fmt: skip
        return
    check.measure(say("memory"), info.memory_used / most, check.limits.redis_memory, of=of)


@CACHE(
    "1-daily/stores",
    id="health.redis.evictions",
    severity="sev3",
    ko="Redis가 키를 축출하고 있지 않은가",
    en="Redis evicts no keys",
)
def test_evictions(check, redis):
    """Evictions mean that the cache is too small for its load."""
    look = check.target.redis.look_s
    with check.must_answer(say("Redis")):
        evicted = redis.evicted_within(look)
    check.measure(
        say("evictions"), evicted, check.limits.redis_evictions, of=say("keys evicted within {look:g} s", look=look)
    )


@CACHE(
    "1-daily/stores",
    id="health.redis.persistence",
    severity="sev3",
    ko="Redis 영속화가 설정대로 동작하는가",
    en="Redis persists as configured, and its last save worked",
)
def test_persistence(check, redis):
    """Persistence that silently fails is noticed at the next restart, with an empty cache."""
    with check.must_answer(say("Redis")):
        info = redis.info()
    check.expect(say("persistence"), info.persistence, check.target.redis.persistence)
    check.expect(say("last save worked"), info.last_save_ok, expected=True)
