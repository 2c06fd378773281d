"""Runbook 1, every month: who may do what in the database, and whose password ends."""

from functools import partial

from opsverify import NONE, listed, runbook, say

MONTHLY = partial(runbook, "1-monthly/rights", stages=("monthly",))


@MONTHLY(
    id="monthly.rights",
    needs=("postgres", "rights"),
    severity="sev2",
    ko="권한이 선언된 목록과 같은가",
    en="Rights are those that were declared",
)
def test_rights(check, rights_review):
    """Effective rights, over nested roles, PUBLIC and default privileges: more is a hole, less an outage to come."""
    check.measure(
        say("rights"), len(rights_review.more), NONE,
        of=listed(say("rights beyond the declared list"), rights_review.more),
    )  # fmt: skip
    check.measure(
        say("rights"), len(rights_review.less), NONE, of=listed(say("declared rights missing"), rights_review.less)
    )


@MONTHLY(
    id="monthly.passwords",
    needs=("postgres",),
    severity="sev3",
    ko="DB 역할의 비밀번호 만료가 임박하지 않았는가",
    en="No password of a database role ends soon",
)
def test_passwords(check, ending_passwords):
    """A role whose password has ended cannot log in any more, and nothing warns of it before."""
    limit = check.limits.login_expiry
    soon = [one.text for one in ending_passwords if not limit.holds(one.left_s)]
    found = say("of {count} passwords with an end do not keep {limit}", count=len(ending_passwords), limit=limit.text)
    check.measure(say("passwords"), len(soon), NONE, of=listed(found, soon))
