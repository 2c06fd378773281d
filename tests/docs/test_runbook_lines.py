"""Lines of the runbook: each is carried out by a check, or is one that a person signs for; and every check has one."""

from __future__ import annotations

from opsverify.core.runbook import lines_of
from tests.support.plans import plans

OPEN = {
    ("1-monthly/rights", "monthly"),
    ("1-monthly/changes", "monthly"),
}
"""Lines that no check carries out yet, by stage: a person signs for them. It only ever shrinks."""


def test_every_line_has_a_check_or_is_signed_for() -> None:
    """No line of a stage is left to memory; one that has got a check leaves the list."""
    without = {
        (check["attests"], stage)
        for stage, checks in plans().items()
        for check in checks
        if check["attests"] is not None
    }
    assert without == OPEN


def test_open_lines_exist() -> None:
    """The list names no line and no stage that the runbook does not have."""
    places = {(line.id, stage) for line in lines_of(None).values() for stage in line.stages}
    assert places >= OPEN


def test_every_check_carries_out_a_line() -> None:
    """A check without a line, or with one that the runbook does not have, verifies nothing that was asked for."""
    unbound = [
        check["id"]
        for checks in plans().values()
        for check in checks
        if not check["lines"] or not set(check["lines"]) <= set(lines_of(None))
    ]
    assert not unbound
