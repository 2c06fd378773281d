"""Lines of the runbook that a plan leaves out: every check of theirs is not applicable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.core.runbook import lines
from opsverify.language.message import Message, join, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsverify.core.plan import Plan
    from opsverify.core.stages import Stage


@dataclass(frozen=True)
class LeftOut:
    """The ids of the lines that a stage leaves out, `of` as many as it has; `scoped` of them are out of scope."""

    lines: tuple[str, ...]
    of: int
    scoped: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[Message, ...]:
        """One line for people for each reason to leave lines out; empty where nothing is left out."""
        absent = [line for line in self.lines if line not in self.scoped]
        texts = []
        if absent:
            texts.append(
                say(
                    "{count} of {of} runbook lines are left out, because the target declares what they need absent: "
                    "{lines}",
                    count=len(absent),
                    of=self.of,
                    lines=", ".join(absent),
                )
            )
        if self.scoped:
            texts.append(
                say(
                    "{count} of {of} runbook lines are left out, because runbook.toml takes them out of scope: {lines}",
                    count=len(self.scoped),
                    of=self.of,
                    lines=", ".join(self.scoped),
                )
            )
        return tuple(texts)

    def to_dict(self) -> dict[str, Any]:
        """As in `verdict.json`."""
        return {"lines": list(self.lines), "of": self.of, "out_of_scope": list(self.scoped)}


def left_out(plan: Plan) -> LeftOut:
    """Return what `plan` leaves out: a line of which one check is carried out is not."""
    every = {line for check in plan.checks for line in check.lines}
    gone = lines_left_out((check.lines, not check.not_applicable) for check in plan.checks)
    known = lines()
    scoped = tuple(line for line in gone if line in known and known[line].out_of_scope)
    return LeftOut(gone, len(every), scoped)


def lines_left_out(checks: Iterable[tuple[Iterable[str], bool]]) -> tuple[str, ...]:
    """The lines of which no check applies, from the lines of each check and whether it applies."""
    carried: dict[str, bool] = {}
    for of_check, applies in checks:
        for line in of_check:
            carried[line] = carried.get(line, False) or applies
    return tuple(line for line, done in carried.items() if not done)


def undecided(plan: Plan) -> tuple[Message, ...]:
    """Why the stage cannot decide: one reason for each of its deciding lines that `plan` leaves out.

    A line that `runbook.toml` takes out of scope has an owner and a reason of its own there, and is no such line while
    another one that the stage has to carry out is carried out.
    """
    found, known = left_out(plan), lines()
    carried = {line for check in plan.checks for line in check.lines} - set(found.lines)
    owned = any(line in known and plan.stage.name in known[line].stages for line in carried)
    gone = set(found.lines) - (set(found.scoped) if owned else set())
    return tuple(_nothing_measured(plan, line) for line in plan.stage.deciding if line in gone)


def decides(stage: Stage, checks: Iterable[tuple[Iterable[str], bool]], scoped: Iterable[str] = ()) -> bool:
    """Whether each deciding line of `stage` has a check that applies, none at all, or is `scoped`: out of scope."""
    return not set(stage.deciding) & (set(lines_left_out(checks)) - set(scoped))


def _nothing_measured(plan: Plan, line: str) -> Message:
    reasons = [check.not_applicable for check in plan.checks if line in check.lines and check.not_applicable]
    return say(
        "{line} is what {stage} decides by, and none of its checks applies ({reasons}); "
        "describe in the target what they need, or decide this by hand",
        line=line,
        stage=plan.stage.name,
        reasons=join("; ", dict.fromkeys(reasons)),
    )
