"""Runbook 5-2 and the objectives: there is a backup to restore, it is young, and older ones are kept as promised."""

from functools import partial

from opsverify import Limit, listed, runbook, say

BACKUPS = partial(runbook, stages=("rehearsal", "monthly", "quarterly"), needs=("recovery",), severity="sev1")


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
        check.fail(say("no backup that can be restored: {listed}", listed=listed(say("found"), inventory.problems)))
    newest = inventory.newest
    if (unusable := inventory.passed_over) is not None:
        check.fail(
            say(
                "the newest backup {name} cannot be used, {name_2} is restored instead: {problem} (if it "
                "is being made, rerun when it has ended)",
                name=unusable.name,
                name_2=newest.name,
                problem=unusable.problem,
            )
        )
    age = inventory.age_s(newest.taken_at)
    check.measure(
        say("newest backup"), age, check.limits.backup_age, of=say("since backup {name} was taken", name=newest.name)
    )
    if inventory.method == "pg_dump":
        check.measure(
            say("exposure"), age, check.limits.rpo, of=say("since the dump began: a dump has no WAL after it")
        )
        return
    wal = inventory.listing.newest_wal
    if wal is None:
        check.fail(say("no WAL archived: commits after the newest backup cannot be recovered; fix archive_command"))
    else:
        archived = inventory.age_s(wal.archived_at)
        check.measure(
            say("newest WAL"),
            archived,
            check.limits.rpo,
            of=say("since WAL segment {name} was archived", name=wal.name),
        )


@BACKUPS(
    "5-2/integrity",
    id="backup.retention",
    ko="약속한 수와 기간만큼 백업을 보관하고 있는가",
    en="As many and as old backups are kept as promised",
    where=(say("retention"), lambda target: target.recovery.retention),
)
def test_retention(check, inventory):
    """Damage that is noticed late needs an older backup; unusable backups do not count."""
    promised = check.target.recovery.retention
    if inventory.empty:
        check.fail(say("no backup that can be restored: {listed}", listed=listed(say("found"), inventory.problems)))
    if promised.backups is not None:
        check.measure(
            say("backups"),
            len(inventory.listing.usable),
            Limit(">=", promised.backups, "count"),
            of=(
                listed(say("usable backups; not counted"), inventory.problems)
                if inventory.problems
                else say("usable backups")
            ),
        )
    if promised.window_s is not None and not inventory.empty:
        kept = inventory.age_s(inventory.oldest.taken_at)
        check.measure(
            say("window"), kept, Limit(">=", promised.window_s, "s"), of=say("back to the oldest usable backup")
        )
