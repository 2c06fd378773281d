"""Runbook 5-2 and the objectives: there is a backup to restore, it is young, and older ones are kept as promised."""

from functools import partial

from opsverify import Limit, listed, runbook

BACKUPS = partial(runbook, stages=("rehearsal",), needs=("recovery",), severity="sev1")


@BACKUPS(
    "5-2/integrity",
    "5/objectives",
    id="backup.age",
    ko="최신 백업과 최신 아카이브 WAL이 기준 시간 이내인가",
    en="The newest backup and the newest archived WAL are young enough",
)
def test_age(check, inventory):
    """A backup job that stopped weeks ago leaves a backup that restores; an archive that stopped costs the RPO."""
    if inventory.empty:
        check.fail(f"no backup that can be restored: {listed('found', inventory.problems)}")
    newest = inventory.newest
    if (unusable := inventory.passed_over) is not None:
        check.fail(
            f"the newest backup {unusable.name} cannot be used, {newest.name} is restored instead: {unusable.problem} "
            "(if it is being made, rerun when it has ended)"
        )
    age = inventory.age_s(newest.taken_at)
    check.measure("newest backup", age, check.limits.backup_age, of=f"since backup {newest.name} was taken")
    if inventory.method == "pg_dump":
        check.measure("exposure", age, check.limits.rpo, of="since the dump began: a dump has no WAL after it")
        return
    wal = inventory.listing.newest_wal
    if wal is None:
        check.fail("no WAL archived: commits after the newest backup cannot be recovered; fix archive_command")
    else:
        archived = inventory.age_s(wal.archived_at)
        check.measure("newest WAL", archived, check.limits.rpo, of=f"since WAL segment {wal.name} was archived")


@BACKUPS(
    "5-2/integrity",
    id="backup.retention",
    ko="약속한 수와 기간만큼 백업을 보관하고 있는가",
    en="As many and as old backups are kept as promised",
    where=("retention", lambda target: target.recovery.retention),
)
def test_retention(check, inventory):
    """Damage that is noticed late needs an older backup; unusable backups do not count."""
    promised = check.target.recovery.retention
    if inventory.empty:
        check.fail(f"no backup that can be restored: {listed('found', inventory.problems)}")
    if promised.backups is not None:
        check.measure(
            "backups",
            len(inventory.listing.usable),
            Limit(">=", promised.backups, "count"),
            of=listed("usable backups; not counted", inventory.problems) if inventory.problems else "usable backups",
        )
    if promised.window_s is not None and not inventory.empty:
        kept = inventory.age_s(inventory.oldest.taken_at)
        check.measure("window", kept, Limit(">=", promised.window_s, "s"), of="back to the oldest usable backup")
