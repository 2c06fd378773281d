"""Runbook 5-2, 5-3 and the objectives: the actual backup is whole, and is restored in time.

One drill for all checks: it restores apart from production, under its own port and folder, and is thrown away.
A part of the drill that was not reached ends a check: inconclusive, or failed where the backup is at fault.
"""

from functools import partial

from opsverify import NONE, Inconclusive, Limit, listed, runbook, say

REHEARSAL = partial(runbook, stages=("rehearsal",), needs=("recovery", "postgres"), severity="sev1")


@REHEARSAL(
    "5-2/integrity",
    id="restore.integrity",
    stages=("rehearsal", "monthly"),
    ko="백업이 매니페스트와 일치하는가 (SHA)",
    en="The base backup matches its manifest (SHA)",
)
def test_integrity(check, drill):
    """The tool that made it, and pg_verifybackup: a flipped, missing or additional file makes the restore worthless."""
    problems = drill.backup.problems
    check.measure(say("problems"), len(problems), NONE, of=listed(say("problems found"), problems))


@REHEARSAL(
    "5-2/integrity",
    id="restore.wal",
    stages=("rehearsal", "monthly"),
    ko="백업부터 최신까지 WAL이 끊김 없이 이어지는가",
    en="The WAL archive carries the backup forward without a gap",
    where=(say("WAL archive: pg_dump has none"), lambda target: target.recovery.method != "pg_dump"),
)
def test_wal(check, drill):
    """Commits after a missing segment cannot be recovered."""
    archive = drill.archive
    check.expect(
        say("WAL archive"),
        say("broken: {gap}", gap=archive.gap) if archive.gap else say("continuous"),
        say("continuous"),
    )
    check.measure(
        say("segments"), archive.segments, Limit(">=", 1, "count"), of=say("archived segments follow the backup")
    )


@REHEARSAL(
    "5-3/restore",
    id="restore.reads_and_writes",
    ko="복구한 DB를 읽고 쓸 수 있는가",
    en="The restored database is read and written",
)
def test_reads_and_writes(check, drill):
    """The restore reaches its target, is promoted, takes a write (rolled back), and its rows are readable."""
    drill.require_restored()
    restored, log = drill.restore, drill.validation
    if restored.read_table is not None:
        of = say("rows of {table} readable after the restore", table=restored.read_table)
        check.measure(say("rows read"), restored.judgments, Limit(">=", 1, "count"), of=of)
    check.attach("settings that the drill did not take over", "\n".join(drill.restore.overridden))
    check.attach("slow statements", "\n".join(log.log_slow))
    errors = listed(say("errors in the log of the restored server"), log.log_errors)
    check.measure(
        say("errors"),
        len(log.log_errors),
        NONE,
        of=say("{errors}; {count} slow statements", errors=errors, count=len(log.log_slow)),
    )


@REHEARSAL(
    "5/objectives",
    id="restore.rto",
    ko="RTO 이내에 복구되는가",
    en="The restore stays within the RTO",
)
def test_rto(check, drill):
    """Time from the drill's beginning to a database that takes writes, to validated data, to a smoked platform."""
    check.measure(say("restore"), drill.restore.to_read_write_s, check.limits.rto, of=say("to read and write"))
    check.measure(
        say("validated"),
        drill.validation.to_validated_s,
        check.limits.rto,
        of=say("to validated data; {pace}", pace=drill.pace),
    )
    if check.target.recovery.platform:
        platform = drill.platform
        if platform.blocked:
            raise Inconclusive(say("time to a smoked platform not measured: {blocked}", blocked=platform.blocked))
        check.measure(
            say("serving"), platform.to_serving_s, check.limits.rto, of=say("to a platform whose smoke has ended")
        )


@REHEARSAL(
    "5/objectives",
    id="restore.rpo",
    ko="지금 재해가 나면 RPO 이내로 복구되는가",
    en="A disaster now would lose less than the RPO",
)
def test_rpo(check, drill):
    """Age of the last commit in the archive when the archive was read: younger commits would be lost."""
    if drill.exposure_s is not None:
        check.measure(say("exposure"), drill.exposure_s, check.limits.rpo, of=say("since the last archived commit"))
        return
    idle_s, limit = drill.since_target_s, check.limits.rpo
    if idle_s is None or not limit.holds(idle_s):
        raise Inconclusive(
            say(
                "no commit was archived since the backup, limit {limit}: an idle database, or an archive that stopped; "
                "`opsverify dr heartbeat` commits regularly and shows which",
                limit=limit.text,
            )
        )
    check.measure(say("exposure"), idle_s, limit, of=say("since the backup, without a commit in the archive"))


@REHEARSAL(
    "5/objectives",
    id="restore.rpo_witnesses",
    ko="손실 데이터: 하트비트·아카이브·서버가 일치하는가",
    en="What was lost: heartbeat, archive and server agree",
    where=(say("WAL archive: pg_dump has none"), lambda target: target.recovery.method != "pg_dump"),
    stages=("post-dr", "rehearsal"),
)
def test_rpo_witnesses(check, rpo):
    """Three independent sources: a stopped heartbeat, a foreign timeline or a lost commit shows as disagreement."""
    loss = rpo.loss()
    check.measure(say("loss"), loss.seconds, check.limits.rpo, of=str(loss))


@REHEARSAL(
    "1-monthly/restore",
    id="restore.random_table",
    ko="백업에서 임의 테이블을 복구해 원본과 같은가",
    en="A random table of the backup is restored alone and equals the original",
    stages=("rehearsal", "monthly"),
)
def test_random_table(check, drill):
    """Drawn by size; dumped, restored with indexes, defaults, grants and sequences, compared row by row by hash."""
    table = drill.table
    drawn = say(
        "{table}, {rows:,} rows{sample}, drawn of {candidates} by seed {seed}",
        table=table.table,
        rows=table.rows,
        sample=table.sample,
        candidates=table.candidates,
        seed=table.seed,
    )
    check.measure(
        say("differences"),
        len(table.differences),
        NONE,
        of=listed(say("differences of {drawn}", drawn=drawn), table.differences),
    )
    if table.ledger_keys is not None:
        of = listed(
            say("of {ledger_keys} keys in the ledger differ", ledger_keys=table.ledger_keys), table.ledger_differences
        )
        check.measure(say("ledger keys that differ"), len(table.ledger_differences), NONE, of=of)
