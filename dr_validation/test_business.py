"""Runbook 5-5 and 5-6: on the restored database the platform starts, its cache is rebuilt, business smoke passes."""

from functools import partial

from opsverify import NONE, Cached, listed, measure_rebuilt, runbook, say

STARTED_AT = "SELECT pg_postmaster_start_time()"  # the restored server's

REHEARSAL = partial(runbook, stages=("rehearsal",), needs=("recovery", "postgres"), severity="sev1")


@REHEARSAL(
    "5-6/smoke",
    id="restore.smoke",
    ko="복구한 DB 위에서 대표 WF/판단/BI 스모크가 통과하는가",
    en="On the restored database the smoke of workflow, judgment and BI passes",
    where=(say("platform for rehearsals (recovery.platform)"), lambda target: target.recovery.platform),
)
def test_smoke(check, restored_platform):
    """The stage `staging`, run on a platform that was started on the restored database."""
    smoke = restored_platform.smoke
    check.attach("passed on the restored database", "\n".join(smoke.passed))
    check.expect(say("outcome"), smoke.outcome, "pass")
    check.measure(
        say("reasons"), len(smoke.reasons), NONE, samples=smoke.executed,
        of=listed(say("of {executed} checks on the restored platform failed", executed=smoke.executed), smoke.reasons),
    )  # fmt: skip


@REHEARSAL(
    "5-5/cache",
    id="restore.cache",
    ko="복구 후 캐시를 비우고 다시 채울 수 있는가",
    en="After the restore the cache is cleared and fills again",
    where=(
        say("command that clears the rehearsal platform's cache (recovery.platform.clear_cache)"),
        lambda target: target.recovery.platform and target.recovery.platform.clear_cache,
    ),
)
def test_cache(check, restored_platform):
    """A cache from before the disaster returns judgments that the restored database does not have."""
    measure_rebuilt(check, restored_platform.cached, restored_platform.cleared_at)


@runbook(
    "5-5/cache",
    id="cache.rebuilt",
    needs=("postgres", "redis"),
    stages=("post-dr",),
    severity="sev1",
    ko="복구 후 캐시가 비워지고 다시 채워졌는가",
    en="The cache was cleared after the recovery, and fills again",
)
def test_cache_after_recovery(check, postgres, redis):
    """Judgments cached before the restored database started are based on data that may be lost."""
    with check.must_answer(say("Redis")):
        cached = Cached.read(redis, check.target.redis)
    switched_at = check.target.regions and check.target.regions.switched_at
    measure_rebuilt(check, cached, switched_at or postgres.value(STARTED_AT))
