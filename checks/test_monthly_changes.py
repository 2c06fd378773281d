"""Runbook 1, every month: each change of rules, prompts and DSL was signed, and what runs is what was signed."""

from functools import partial

from opsverify import NONE, change_kinds, eventually, listed, per, runbook, say

MONTHLY = partial(
    runbook, "1-monthly/changes", stages=("monthly",), needs=("postgres", "changes"), severity="sev2"
)  # fmt: skip
ROLLOUT_S = 5.0  # an instance takes a moment to read what has just been put in force


@MONTHLY(
    id="monthly.changes",
    ko="변경 이력: 모든 변경에 작성자, 다른 승인자, 티켓이 있는가",
    en="Change history: each change has an author, another approver and a ticket",
)
@per("kind", change_kinds)
def test_changes(check, change_review, kind):
    """An approval that an administrator skipped is shown; so is one by the author, and a change without a ticket."""
    review = change_review(kind)
    check.measure(
        say("changes"), len(review.unsigned), NONE,
        of=listed(say("of {count} changes in {lookback} are not signed as they have to be",
                      count=len(review.recent), lookback=review.config.lookback), review.unsigned),
    )  # fmt: skip


@MONTHLY(
    id="monthly.unrecorded",
    ko="변경 이력: 기록 없이 바뀌거나 배포된 버전이 없는가",
    en="Change history: nothing was changed or put in force without a record",
)
@per("kind", change_kinds)
def test_unrecorded(check, change_memory, kind):
    """A label that moves without a new version is a deployment; one that nobody recorded is found by its traces."""
    found = change_memory(kind).unrecorded()
    check.measure(
        say("changes"), len(found), NONE, of=listed(say("without a record since the earlier runs"), found)
    )  # fmt: skip


@MONTHLY(
    id="monthly.served",
    ko="변경 이력: 모든 인스턴스가 이력의 적용 버전을 서비스하는가",
    en="Change history: every instance serves the version that the history has in force",
)
@per("kind", change_kinds)
def test_served(check, change_review, served_versions, kind):
    """What was approved and what runs are two things until they were compared."""
    review, served = eventually(
        lambda: (change_review(kind), served_versions(kind)),
        lambda found: not found[0].astray(found[1]),
        deadline_s=ROLLOUT_S,
        every_s=0.5,
        what=say("every instance to serve what the history says"),
    )
    check.measure(
        say("names"), len(review.disorder), NONE,
        of=listed(say("without exactly one version in force"), review.disorder),
    )  # fmt: skip
    astray = review.astray(served)
    check.measure(
        say("differences"), len(astray), NONE,
        of=listed(say("between {count} instances and the history", count=len(served)), astray),
    )  # fmt: skip
