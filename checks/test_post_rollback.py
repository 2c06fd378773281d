"""Runbook 2-4, 2-5: after a rollback the version before serves alone, on its own schema and a fresh cache."""

from functools import partial

from opsverify import (
    P95_SLOWER,
    Inconclusive,
    Limit,
    LocalTimer,
    eventually,
    listed,
    measure_cached_since,
    read_attestation,
    runbook,
    say,
)

AFTER = partial(runbook, stages=("post-rollback",))
SERVED = partial(AFTER, needs=("prometheus", "canary"))
AT_ALL = Limit(">", 0, "ratio")
ALERTS_EVERY_S = 2.0


@SERVED(
    "2-4/rollback",
    id="rollback.traffic",
    signals=("requests",),
    severity="sev1",
    ko="롤백 후 기준 버전만 트래픽을 받는가",
    en="Only the baseline serves traffic after the rollback",
)
def test_traffic(check, after_rollback):
    """A release that was found bad must not serve one more customer."""
    outside = after_rollback.outside_baseline()
    check.enough(say("requests"), outside.trials)
    check.measure(
        say("share"), outside.share, check.limits.share_outside_baseline, samples=outside.trials, of=outside.text
    )


@SERVED(
    "2-4/rollback",
    id="rollback.error_rate",
    signals=("request_errors", "requests"),
    severity="sev1",
    ko="롤백 후 안정성: 에러율",
    en="Stability after the rollback: error rate",
)
def test_error_rate(check, after_rollback):
    """A rollback did not help if requests still fail."""
    errors = after_rollback.errors()
    check.enough(say("requests"), errors.trials)
    check.measure(say("error rate"), errors.share, check.limits.error_rate, samples=errors.trials, of=errors.text)


@SERVED(
    "2-4/rollback",
    id="rollback.latency",
    signals=("durations", "duration_buckets"),
    severity="sev1",
    ko="롤백 후 안정성: 판단 p95 지연",
    en="Stability after the rollback: latency of judgments (p95)",
)
def test_latency(check, after_rollback):
    """A cold cache may cost some time, and no more than the limit."""
    slow = after_rollback.slow()
    check.enough(say("requests"), slow.trials)
    check.measure(say("slower"), slow.share, P95_SLOWER, samples=slow.trials, of=slow.text)


@AFTER(
    "2-4/rollback",
    "2-5/record",
    id="rollback.alerts",
    needs=("alertmanager",),
    severity="sev1",
    ko="롤백 후 알람이 모두 해소되는가",
    en="Every alert ends after the rollback",
)
def test_alerts(check, alertmanager):
    """The alert that led to the rollback takes a while to end; one that stays has another cause."""
    limit = check.limits.alerts_end
    watch = LocalTimer()
    firing = eventually(
        lambda: [alert.name for alert in alertmanager.firing(check.target.alertmanager.ignore)],
        lambda names: not names,
        deadline_s=limit.bound,
        every_s=ALERTS_EVERY_S,
        what="the alerts to end",
    )
    names = list(dict.fromkeys(firing))
    check.measure(say("alerts"), len(firing), check.limits.firing_alerts, of=listed(say("alerts firing"), names))
    if not firing:
        check.measure(say("waited"), watch.elapsed_s, limit)


@AFTER(
    "2-4/migration",
    id="rollback.migration",
    needs=("postgres",),
    severity="sev1",
    ko="DB 마이그레이션이 이전 리비전으로 내려갔는가",
    en="The database is back at the migration before",
    where=(say("migration"), lambda target: target.postgres.migration),
)
def test_migration(check, postgres):
    """The version before was never tested against the schema of the one after."""
    migration = check.target.postgres.migration
    if migration.previous is None:
        raise Inconclusive(
            say(
                "missing postgres.migration.previous: the revision that a rollback leads to (the same as "
                "head for a release without migration)"
            )
        )
    with check.must_answer(say("PostgreSQL")):
        check.expect(say("revision"), postgres.revision(migration), migration.previous)


@AFTER(
    "2-4/cache",
    id="rollback.cache_invalidated",
    needs=("redis",),
    severity="sev1",
    ko="롤백 후 캐시가 무효화되었는가",
    en="No cached judgment is older than the rollback",
)
def test_cache_invalidated(check, redis):
    """Judgments of the withdrawn version would be served from the cache until they expire."""
    measure_cached_since(check, redis, _rolled_back_at(check))


@AFTER(
    "2-4/cache",
    id="rollback.cache_refilled",
    signals=("cache_misses", "cache_lookups"),
    needs=("redis", "prometheus"),
    severity="sev2",
    ko="캐시가 다시 채워지는가",
    en="The cache fills again, and is hit",
)
def test_cache_refilled(check, after_rollback):
    """A cache that stays empty makes every judgment slow and expensive."""
    hits = after_rollback.hits()
    check.enough(say("lookups"), hits.trials)
    check.measure(say("hits"), hits.share, AT_ALL, samples=hits.trials, of=hits.text)


@AFTER(
    "2-5/record",
    id="rollback.record",
    severity="sev3",
    ko="배포 로그/변경 이력이 기록되고 서명되었는가",
    en="The deployment is recorded and signed off",
)
def test_record(check):
    """A record of an earlier deployment does not count for this one."""
    since = _rolled_back_at(check).replace(microsecond=0)  # people write whole seconds
    record = read_attestation(check.target, "deployment", since)
    check.attach("deployment record", record.text)
    check.measure(
        say("recorded"),
        (record.at - since).total_seconds(),
        Limit(">=", 0, "s"),
        of=say(
            "after the rollback began: {release}, {what}, by {by}, signed off by {signed_off_by}",
            release=record.release,
            what=record.what,
            by=record.by,
            signed_off_by=record.signed_off_by,
        ),
    )


def _rolled_back_at(check):
    moment = check.target.actions.rolled_back_at
    if moment is None:
        raise Inconclusive(say("missing --rolled-back-at TIME (`opsverify act` sets it): when the rollback began"))
    return moment
