"""Lines of the runbook: each is carried out by a check, or is one that a person signs for; and every check has one."""

from __future__ import annotations

from opsverify.core.runbook import lines_of
from tests.support.plans import plans

SIGNED_FOR = {
    ("3-llmops/rules", "weekly"),
    ("3-llmops/prompts", "monthly"),
}
"""Lines that a person signs for (`opsverify attest`), by stage. A check that comes takes its line out."""
OPEN = {
    ("1-weekly/slow-queries", "weekly"),
    ("1-weekly/cache", "weekly"),
    ("1-weekly/retention", "weekly"),
    ("1-monthly/rights", "monthly"),
    ("1-monthly/changes", "monthly"),
    ("1-quarterly/dr", "quarterly"),
    ("1-quarterly/policies", "quarterly"),
    ("1-quarterly/keys", "quarterly"),
    ("3-llm/remedy", "incident-llm"),
    ("3-llm/verify", "incident-llm"),
    ("3-mcp/remedy", "incident-mcp"),
    ("3-mcp/verify", "incident-mcp"),
    ("6-db/remedy", "incident-db"),
    ("6-db/verify", "incident-db"),
    ("6-cache/verify", "incident-cache"),
    ("6-rule/remedy", "incident-rule"),
    ("6-rule/verify", "incident-rule"),
    ("5-2/integrity", "monthly"),
    ("5-2/integrity", "quarterly"),
    ("5-3/restore", "quarterly"),
    ("5-5/consistency", "quarterly"),
    ("5/objectives", "quarterly"),
}
"""Lines whose checks are still to be written, by stage. It only ever shrinks."""


def test_every_line_has_a_check_or_is_signed_for() -> None:
    """No line of a stage is left to memory, but for those listed as open."""
    without = {
        (check["attests"], stage)
        for stage, checks in plans().items()
        for check in checks
        if check["attests"] is not None
    }
    assert without <= SIGNED_FOR | OPEN


def test_the_lists_name_existing_places_once() -> None:
    """Neither list names a line or a stage that the runbook does not have, nor both of them the same."""
    places = {(line.id, stage) for line in lines_of(None).values() for stage in line.stages}
    assert places >= SIGNED_FOR | OPEN
    assert not SIGNED_FOR & OPEN


def test_every_check_carries_out_a_line() -> None:
    """A check without a line, or with one that the runbook does not have, verifies nothing that was asked for."""
    unbound = [
        check["id"]
        for checks in plans().values()
        for check in checks
        if not check["lines"] or not set(check["lines"]) <= set(lines_of(None))
    ]
    assert not unbound
