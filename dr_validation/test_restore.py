"""Runbook 5-2, 5-3 and the objectives: the actual backup is whole, restores, and does so in time.

One drill for all checks: it restores beside production, under its own port and folder, and is thrown away.
"""

from opsverify import NONE, Inconclusive, Limit, listed, runbook
from opsverify.recovery.drill.run import age_s

REHEARSAL = {"stages": ("rehearsal",), "needs": ("recovery", "postgres"), "severity": "sev1"}


@runbook(
    "5-2/integrity",
    id="restore.integrity",
    ko="백업이 매니페스트와 일치하는가 (SHA)",
    en="The base backup matches its manifest (SHA)",
    **REHEARSAL,
)
def test_integrity(check, drill):
    """The tool that made it, and pg_verifybackup: a flipped, missing or additional file makes the restore worthless."""
    check.measure("problems", len(drill.problems), NONE, of=listed("problems found", drill.problems))


@runbook(
    "5-2/integrity",
    id="restore.wal",
    ko="백업부터 최신까지 WAL이 끊김 없이 이어지는가",
    en="The WAL archive carries the backup forward without a gap",
    where=("WAL archive: pg_dump has none", lambda target: target.recovery.method != "pg_dump"),
    **REHEARSAL,
)
def test_wal(check, drill):
    """What lies behind a missing segment cannot be recovered."""
    check.expect("break in the archive", drill.continuity, None)
    check.measure("segments", drill.segments, Limit(">=", 1, "count"), of="archived segments follow the backup")


@runbook(
    "5-3/restore",
    id="restore.reads_and_writes",
    ko="복구한 DB를 읽고 쓸 수 있는가",
    en="The restored database is read and written",
    **REHEARSAL,
)
def test_reads_and_writes(check, drill):
    """The restore reaches its target, is promoted, takes a write (rolled back) and answers from the judgment log."""
    if drill.failure:
        check.fail(drill.failure)
    if drill.hindrance:
        raise Inconclusive(drill.hindrance)
    check.measure("judgments", drill.read, Limit(">=", 1, "count"), of="judgments readable after the restore")
    check.attach("slow statements", "\n".join(drill.log_slow))
    slow = f"; {len(drill.log_slow)} slow statements"
    errors = listed("errors in the log of the restored server", drill.log_errors)
    check.measure("errors", len(drill.log_errors), NONE, of=errors + slow)


@runbook(
    "5/objectives",
    id="restore.rto",
    ko="RTO 이내에 복구되는가",
    en="The restore stays within the RTO",
    **REHEARSAL,
)
def test_rto(check, drill):
    """Time from the first look at the backup to a database that takes writes, and to one whose data was asked."""
    check.measure("restore", drill.to_read_write_s, check.limits.rto, of="to read and write")
    check.measure("validated", drill.to_validated_s, check.limits.rto, of=f"to validated data; {drill.pace}")
    if check.target.recovery.platform:
        if drill.business_hindrance:
            raise Inconclusive(f"the time to a smoked platform is not known: {drill.business_hindrance}")
        check.measure("serving", drill.to_serving_s, check.limits.rto, of="to a platform whose smoke has ended")


@runbook(
    "5/objectives",
    id="restore.rpo",
    ko="지금 재해가 나면 RPO 이내로 복구되는가",
    en="A disaster now would lose less than the RPO",
    **REHEARSAL,
)
def test_rpo(check, drill):
    """Age of the last commit in the archive, when that was read: what is younger than that is lost."""
    exposed = age_s(drill.last_commit_at, drill.looked_at) if drill.last_commit_at else None
    check.measure("exposure", exposed, check.limits.rpo, of="since the last archived commit")


@runbook(
    "5/objectives",
    id="restore.rpo_witnesses",
    ko="손실 데이터: 하트비트·아카이브·서버가 일치하는가",
    en="What was lost: heartbeat, archive and server agree",
    where=("WAL archive: pg_dump has none", lambda target: target.recovery.method != "pg_dump"),
    **{**REHEARSAL, "stages": ("post-dr", "rehearsal")},
)
def test_rpo_witnesses(check, rpo):
    """No witness is believed alone: a silent heartbeat, a foreign timeline or a lost commit shows as disagreement."""
    loss = rpo.loss()
    check.measure("loss", loss.seconds, check.limits.rpo, of=str(loss))


@runbook(
    "1-monthly/restore",
    id="restore.random_table",
    ko="백업에서 임의 테이블을 복구해 원본과 같은가",
    en="A random table of the backup is restored alone and equals the original",
    **{**REHEARSAL, "stages": ("rehearsal", "monthly")},
)
def test_random_table(check, drill):
    """Drawn by size; dumped, restored with indexes, defaults, grants and sequences, compared row by row by hash."""
    if drill.table_failure:
        check.fail(drill.table_failure)
    if drill.table is None:
        raise Inconclusive(drill.table_hindrance or drill.why_not)
    found = drill.table
    drawn = f"{found['table']}, {found['rows']:,} rows, drawn of {found['candidates']} by seed {found['seed']}"
    check.measure(
        "differences", len(found["differences"]), NONE, of=listed(f"differences of {drawn}", found["differences"])
    )
    if found["ledger_keys"] is not None:
        of = listed(f"of {found['ledger_keys']} keys in the ledger differ", found["ledger_differences"])
        check.measure("ledger keys that differ", len(found["ledger_differences"]), NONE, of=of)
