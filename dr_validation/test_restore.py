"""Runbook 5-2, 5-3 and the objectives: the actual backup is whole, restores, and does so in time.

One drill for all checks: it restores beside production, under its own port and folder, and is thrown away.
"""

from opsverify import NONE, Limit, listed, runbook
from opsverify.drill import age_s

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
    check.measure("judgments", drill.read, Limit(">=", 1, "count"), of="judgments readable after the restore")


@runbook(
    "5/objectives",
    id="restore.rto",
    ko="RTO 이내에 복구되는가",
    en="The restore stays within the RTO",
    **REHEARSAL,
)
def test_rto(check, drill):
    """Time from the start of the restore to a database that takes writes."""
    check.measure("restore", drill.to_read_write_s, check.limits.rto, of="to read and write")


@runbook(
    "5/objectives",
    id="restore.rpo",
    ko="지금 재해가 나면 RPO 이내로 복구되는가",
    en="A disaster now would lose less than the RPO",
    **REHEARSAL,
)
def test_rpo(check, drill):
    """Age of the last commit in the archive, when the drill began: what is younger than that is lost."""
    exposed = age_s(drill.last_commit_at, drill.looked_at) if drill.last_commit_at else None
    check.measure("exposure", exposed, check.limits.rpo, of="since the last archived commit")
