"""Runbook 1, every quarter: each circuit breaker opens, tries half-open and closes again, and none is stuck."""

from functools import partial

from opsverify import Limit, described_breakers, listed, per, runbook, say

QUARTERLY = partial(
    runbook, "1-quarterly/policies", stages=("quarterly",), needs=("prometheus", "breakers"), severity="sev2"
)
ONCE = Limit(">=", 1, "count")


@QUARTERLY(
    id="quarterly.breakers",
    ko="회로차단 정책: 열림, half-open, 닫힘이 실제로 일어났고 열린 채 멈춰 있지 않은가",
    en="Circuit breaker: it has opened, tried half-open and closed again, and is not stuck",
)
@per("breaker", described_breakers, what=say("breaker"))
def test_breaker(check, breaker_review, breaker):
    """A breaker that has never opened is an assumption; one that does not close any more has become the outage."""
    review, limit = breaker_review(breaker), check.limits.breaker_not_closed
    states = review.not_closed(limit)
    stuck = [state.text for state in states if state.seconds]
    check.measure(
        say("not closed"), states[0].seconds, limit,
        of=listed(say("at the longest, of {count} instances", count=len(states)), stuck),
    )  # fmt: skip
    if not limit.holds(states[0].seconds):
        return
    cycle = review.cycle()
    for transition, times in cycle.counts:
        check.measure(transition, times, ONCE, of=say("times {where}", where=cycle.where))
