"""Runbook 1, every day: what slowly takes a database down: blocking, old transactions, wraparound, slots, deadlocks."""

from functools import partial

from opsverify import NONE, Inconclusive, listed, runbook, say

DAILY = partial(runbook, "1-daily/stores", stages=("daily",), needs=("postgres",))


@DAILY(
    id="daily.blocking",
    severity="sev2",
    ko="DB 상태: 잠금을 기다리는 세션과 그 뿌리",
    en="Sessions that wait for a lock, by the root of the chain",
)
def test_blocking(check, database_sessions):
    """The root of a chain is who to ask, not the one that waits in front."""
    chains = database_sessions.chains
    worst = chains[0] if chains else None
    check.measure(
        say("longest wait"),
        worst.longest_s if worst else 0,
        check.limits.blocked_session,
        of=say("longest wait; {waiting} sessions wait for {root}", waiting=worst.waiting, root=worst.root)
        if worst
        else say("longest wait; no session waits"),
    )


@DAILY(
    id="daily.long_transactions",
    severity="sev2",
    ko="DB 상태: 오래 열린 트랜잭션",
    en="Transactions that stay open",
)
def test_long_transactions(check, database_sessions):
    """Both keep dead rows from being removed; an idle one also keeps its locks. Autovacuum and walsenders are none."""
    for what, found, limit in (
        (say("idle transaction"), database_sessions.idle, check.limits.idle_transaction),
        (say("open transaction"), database_sessions.open, check.limits.long_transaction),
    ):
        age, session = found
        check.measure(
            what, age, limit, of=say("of {session}", session=session.title) if session else say("longest, none open")
        )


@DAILY(
    id="daily.transaction_age",
    severity="sev1",
    ko="DB 상태: 트랜잭션 ID와 멀티잭트의 나이",
    en="Age of transaction ids and multixacts",
)
def test_transaction_age(check, transaction_ages):
    """At the end of the ids the server refuses every write; the age counts, and whether it ever comes down."""
    found = transaction_ages
    oldest = found.oldest
    check.measure(
        say("transaction age"),
        oldest.share,
        check.limits.transaction_age,
        of=say(
            "of the ids until the wraparound ({database}: {xids:,} transactions, {multixacts:,} multixacts; {holders})",
            database=oldest.database,
            xids=oldest.xids,
            multixacts=oldest.multixacts,
            holders=found.holders,
        ),
    )
    for database in found.beyond_cycle:
        falls = found.comes_down(database.database)
        if falls is None:
            raise Inconclusive(
                say(
                    "{database}: older than forced vacuums should let it become, and less than a day of history shows "
                    "whether it comes down; {holders}",
                    database=database.database,
                    holders=found.holders,
                )
            )
        check.expect(say("age of {database} comes down", database=database.database), falls, expected=True)


@DAILY(
    id="daily.replication_slots",
    severity="sev2",
    ko="DB 상태: 복제 슬롯이 붙잡은 WAL",
    en="WAL that replication slots keep",
)
def test_replication_slots(check, replication_slots):
    """By bytes and not by whether it is active: an active one that lags fills the disk as well."""
    lost = [slot.name for slot in replication_slots if slot.status == "lost"]
    check.measure(say("lost slots"), len(lost), NONE, of=listed(say("slots lost the WAL that they need"), lost))
    worst = replication_slots[0] if replication_slots else None
    check.measure(
        say("slot"),
        worst.bytes if worst else 0,
        check.limits.slot_bytes,
        of=say(
            "of WAL kept by slot {name} ({state})", name=worst.name, state=say("active") if worst.active
            else say("inactive"),
        )
        if worst
        else say("of WAL kept, no slot exists"),
    )  # fmt: skip


@DAILY(
    id="daily.deadlocks",
    severity="sev3",
    ko="DB 상태: 교착(데드락) 증가",
    en="Deadlocks since the day before",
)
def test_deadlocks(check, database_growth):
    """The counter only grows: what counts is since the run before."""
    check.measure(
        say("deadlocks"), database_growth["deadlocks"], check.limits.deadlocks,
        of=say("deadlocks in {span}", span=database_growth.span),
    )  # fmt: skip
