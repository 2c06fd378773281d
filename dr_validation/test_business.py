"""Runbook 5-5 and 5-6: on the restored database the platform starts, its cache is rebuilt, and business goes on."""

from opsverify import NONE, Cached, listed, measure_rebuilt, runbook

STARTED_AT = "SELECT pg_postmaster_start_time()"  # the recovered server's

REHEARSED = {
    "stages": ("rehearsal",),
    "needs": ("recovery", "postgres"),
    "severity": "sev1",
}


@runbook(
    "5-6/smoke",
    id="restore.smoke",
    ko="복구한 DB 위에서 대표 WF/판단/BI 스모크가 통과하는가",
    en="On the restored database the smoke of workflow, judgment and BI passes",
    where=("platform for rehearsals (recovery.platform)", lambda target: target.recovery.platform),
    **REHEARSED,
)
def test_smoke(check, restored_platform):
    """The suite's own stage `staging`, on a platform that was started on the restored database."""
    smoke = restored_platform.smoke
    check.attach("passed on the restored database", "\n".join(smoke["passed"]))
    check.expect("outcome", smoke["outcome"], "pass")
    check.measure(
        "reasons", len(smoke["reasons"]), NONE, samples=smoke["executed"],
        of=listed(f"of {smoke['executed']} checks on the restored platform are red", smoke["reasons"]),
    )  # fmt: skip


@runbook(
    "5-5/cache",
    id="restore.cache",
    ko="복구 후 캐시를 비우고 다시 채울 수 있는가",
    en="After the restore the cache is cleared and fills again",
    where=(
        "command that clears the rehearsal platform's cache (recovery.platform.clear_cache)",
        lambda target: target.recovery.platform and target.recovery.platform.clear_cache,
    ),
    **REHEARSED,
)
def test_cache(check, restored_platform):
    """A cache that outlived the disaster answers from judgments that the database never had."""
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
    """What was cached before the recovered database came up was judged on data that may be gone."""
    with check.must_answer("Redis"):
        cached = Cached.read(redis, check.target.redis)
    switched_at = check.target.regions and check.target.regions.switched_at
    measure_rebuilt(check, cached, switched_at or postgres.value(STARTED_AT))
