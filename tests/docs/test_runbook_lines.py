"""Lines of the runbook: each is carried out by a check in each of its stages, and every check has one."""

from __future__ import annotations

from opsverify.core.runbook import lines_of
from tests.support.plans import plans


def test_every_line_has_a_check() -> None:
    """No line of a stage is left to memory: each has a check, and none is open."""
    without = {
        (check["attests"], stage)
        for stage, checks in plans().items()
        for check in checks
        if check["attests"] is not None
    }
    assert not without


def test_every_check_carries_out_a_line() -> None:
    """A check without a line, or with one that the runbook does not have, verifies nothing that was asked for."""
    unbound = [
        check["id"]
        for checks in plans().values()
        for check in checks
        if not check["lines"] or not set(check["lines"]) <= set(lines_of(None))
    ]
    assert not unbound
