"""Stages: what a pipeline or a person may run, and the decision that follows from each outcome."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from opsverify.errors import TargetError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterable


class Outcome(StrEnum):
    """Outcome of a check, or of a whole stage (then only the first three)."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not_applicable"
    WAIVED = "waived"


class Decision(StrEnum):
    """What a stage's outcome means for the release or the operation."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    ACCEPT = "accept"
    REJECT = "reject"
    HOLD = "hold"


@dataclass(frozen=True)
class Stage:
    """A named selection of checks; `releases`: decides promote or rollback, else accept or reject.

    `deciding` are the runbook lines that the stage is there for: where no check of one of them applies, the rest
    says nothing about the stage's question, however well it is, and the stage holds.
    """

    name: str
    releases: bool = False
    deciding: tuple[str, ...] = ()

    def decide(self, outcome: Outcome) -> Decision:
        """The decision that follows from the stage's outcome (design page, Stages and decisions)."""
        if outcome is Outcome.PASS:
            return Decision.PROMOTE if self.releases else Decision.ACCEPT
        if outcome is Outcome.FAIL:
            return Decision.ROLLBACK if self.releases else Decision.REJECT
        return Decision.HOLD


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("staging", releases=True, deciding=("2-1/judgment",)),
        Stage("preprod-canary", releases=True, deciding=("8/window", "8/errors")),
        Stage("prod-canary", releases=True, deciding=("8/window", "8/errors")),
        Stage("post-rollback", deciding=("2-4/rollback",)),
        Stage("daily"),
        Stage("weekly"),
        Stage("monthly"),
        Stage("quarterly"),
        Stage("incident-llm", deciding=("3-llm/remedy", "3-llm/verify")),
        Stage("incident-mcp", deciding=("3-mcp/remedy", "3-mcp/verify")),
        Stage("incident-db", deciding=("6-db/remedy", "6-db/verify")),
        Stage("incident-cache", deciding=("6-cache/verify",)),
        Stage("incident-rule", deciding=("6-rule/remedy", "6-rule/verify")),
        Stage("post-dr", deciding=("5-3/restore",)),
        Stage("rehearsal", deciding=("5-3/restore", "5-5/consistency")),
        Stage("switchback", deciding=("7-2/sync", "7-3/traffic")),
    )
}

# Groups of stages that checks name, so that one line in a check file reads like the runbook.
CANARY = ("preprod-canary", "prod-canary")
INCIDENTS = ("incident-llm", "incident-mcp", "incident-db", "incident-cache", "incident-rule")
SERVING = ("staging", "post-rollback", "daily", *INCIDENTS, "post-dr", "switchback")
"""Every stage that ends with a platform that has to serve: health is always part of it."""


def stage_named(name: str) -> Stage:
    """The stage called `name`. Raises TargetError with the nearest name and the whole list."""
    if name in STAGES:
        return STAGES[name]
    hint = nearest(name, STAGES)
    raise TargetError(
        say("stage {name!r}: no such stage{hint}; stages: {stages}", name=name, hint=hint, stages=", ".join(STAGES))
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """The hint with the nearest of the `known` words; '' where none is near."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return say("; did you mean {name!r}?", name=close[0]) if close else ""
