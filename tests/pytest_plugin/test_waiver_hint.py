"""Waivers of no check, in `verify` and `plan`: named with the nearest check, whichever stage that is of."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Suite

WEEKLY = """
@runbook("1-weekly/cache", id="t.weekly", stages=("weekly",), severity="sev2", ko="점검", en="A check")
@per("name", lambda target: tuple(target.services))
def test_weekly(check, name):
    check.expect("x", 1, 1)
"""
WAIVERS = """
[[waivers]]
check = "t.whola"
owner = "kim"
reason = "mended on Monday"
until = 2099-01-01
ticket = "OPS-1"
[[waivers]]
check = "t.weekly[a]"
owner = "kim"
reason = "mended on Monday"
until = 2099-01-01
ticket = "OPS-1"
"""
HINT = "waivers[0].check: no check 't.whola'; did you mean 't.whole'?; it has no effect"


def test_verify_and_plan_name_it(suite: Suite) -> None:
    """The note of a run and the line of a plan are the same; a waiver of another stage's row is none of them."""
    suite.checks("weekly", WEEKLY)
    suite.target(WAIVERS)
    ran = suite.run()
    assert ran.verdict is not None, str(ran)
    assert HINT in ran.verdict["notes"]
    planned = suite.ended(suite.start([sys.executable, "-m", "opsverify", "plan", "daily", "--target", "t"]))
    assert planned.code == 0, str(planned)
    assert HINT in planned.err
    assert "t.weekly" not in planned.err + str(ran.verdict["notes"])
