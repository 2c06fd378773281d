"""Runbook 1, every month and quarter: secrets are reviewed, keys are rotated."""

from opsverify import per, reviewed_keys, runbook, say


@runbook(
    "1-quarterly/keys",
    "1-monthly/rights",
    id="quarterly.keys",
    stages=("monthly", "quarterly"),
    severity="sev2",
    ko="보안 키 롤테이션: 키가 기준 기간 안에 교체되었는가",
    en="Key rotated within the limit",
)
@per("key", reviewed_keys, what=say("keys"))
def test_key_age(check, key_ages, key):
    """First sight begins the age, another fingerprint ends it; what is declared must not contradict what was seen."""
    age = key_ages(key)
    if (contradiction := age.contradiction) is not None:
        check.fail(contradiction)
    check.measure(say("age"), age.judged(check.limits.key_age), check.limits.key_age, of=age.text)
