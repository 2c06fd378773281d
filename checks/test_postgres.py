"""Runbook 1 daily and 5-3: PostgreSQL answers, can be written as it should, and has room and replicas."""

from functools import partial

from opsverify import SERVING, runbook, say

DATABASE = partial(runbook, stages=SERVING, needs=("postgres",))


@DATABASE(
    "1-daily/stores",
    "5-3/restore",
    id="health.postgres.reads",
    severity="sev1",
    ko="PostgreSQL이 제때 읽히는가",
    en="PostgreSQL answers a small read in time",
)
def test_reads(check, postgres):
    """One row of a core table: a server that accepts connections may still return nothing (locks, storage)."""
    with check.must_answer(say("PostgreSQL")):
        answer = postgres.timed(check.target.postgres.reads)
    check.measure(say("read"), answer.elapsed_s, check.limits.postgres_latency)


@DATABASE(
    "1-daily/stores",
    "5-3/restore",
    id="health.postgres.writable",
    severity="sev1",
    ko="PostgreSQL 쓰기 가능 여부가 기대와 같은가",
    en="PostgreSQL takes writes, or refuses them, as the target says",
)
def test_writable(check, postgres):
    """A standby or a read-only server under the service's name stores no judgment."""
    with check.must_answer(say("PostgreSQL")):
        server = postgres.server()
    check.expect(say("takes writes"), not (server.in_recovery or server.read_only), check.target.postgres.writable)


@DATABASE(
    "1-daily/stores",
    id="health.postgres.connections",
    severity="sev2",
    ko="PostgreSQL 연결에 여유가 있는가",
    en="PostgreSQL has connections to spare",
)
def test_connections(check, postgres):
    """At the limit new judgments are refused."""
    with check.must_answer(say("PostgreSQL")):
        server = postgres.server()
    check.measure(
        say("connections"),
        server.connections_used / server.max_connections,
        check.limits.postgres_connections,
        of=say("of {max_connections} connections used", max_connections=server.max_connections),
    )


@DATABASE(
    "1-daily/stores",
    id="health.postgres.replication",
    severity="sev2",
    ko="복제가 모두 연결되어 있고 지연이 작은가",
    en="Every replica is connected, with little lag",
    where=(say("replicas"), lambda target: target.postgres.replicas),
)
def test_replication(check, postgres):
    """A failover to a replica that is missing or lags loses data."""
    with check.must_answer(say("PostgreSQL")):
        replicas = postgres.replicas()
    check.expect(
        say("streaming replicas"),
        sum(replica.state == "streaming" for replica in replicas),
        check.target.postgres.replicas,
    )
    for replica in replicas:
        check.measure(
            say("replay lag of {name}", name=replica.name), replica.replay_lag_s, check.limits.replication_lag
        )


@DATABASE(
    "1-daily/stores",
    id="health.postgres.archiving",
    severity="sev2",
    ko="WAL 아카이빙이 실패하고 있지 않은가",
    en="WAL archiving is not failing",
    where=(say("WAL archive"), lambda target: target.postgres.archives_wal),
)
def test_archiving(check, postgres):
    """From the first segment that is not archived on, a disaster loses data."""
    with check.must_answer(say("PostgreSQL")):
        found = postgres.archiver()
        waiting = postgres.waiting_segments()
    check.expect(say("archive_mode is on"), found.enabled, expected=True)
    check.measure(
        say("waiting"),
        waiting.oldest_s,
        check.limits.archive_delay,
        of=say("since the oldest of {count} waiting segments ended", count=waiting.count),
    )
    check.measure(
        say("archiving"),
        int(found.failing),
        check.limits.archive_failures,
        of=say("segments waiting after a failed attempt"),
    )


@DATABASE(
    "1-daily/stores",
    id="health.migration",
    stages=("staging", "daily", "post-dr"),
    severity="sev1",
    ko="DB 마이그레이션 리비전이 릴리즈와 같은가",
    en="The database is at the migration this release expects",
    where=(say("migration"), lambda target: target.postgres.migration),
)
def test_migration(check, postgres):
    """Code and schema of different releases fail on the first query that differs."""
    migration = check.target.postgres.migration
    with check.must_answer(say("PostgreSQL")):
        found = postgres.revision(migration)
    check.expect(say("revision"), found, migration.head)
