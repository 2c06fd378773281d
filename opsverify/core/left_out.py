"""Lines of the runbook that a plan leaves out: every check of theirs is not applicable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.language.message import Message, say

if TYPE_CHECKING:
    from opsverify.core.plan import Plan


@dataclass(frozen=True)
class LeftOut:
    """The ids of the lines that a stage leaves out, `of` as many as it has."""

    lines: tuple[str, ...]
    of: int

    @property
    def text(self) -> Message | None:
        """One line for people; None where nothing is left out."""
        if not self.lines:
            return None
        return say(
            "{count} of {of} runbook lines are left out, because the target declares what they need absent: {lines}",
            count=len(self.lines),
            of=self.of,
            lines=", ".join(self.lines),
        )

    def to_dict(self) -> dict[str, Any]:
        """As in `verdict.json`."""
        return {"lines": list(self.lines), "of": self.of}


def left_out(plan: Plan) -> LeftOut:
    """Return what `plan` leaves out: a line of which one check is carried out is not."""
    carried: dict[str, bool] = {}
    for check in plan.checks:
        for line in check.lines:
            carried[line] = carried.get(line, False) or not check.not_applicable
    return LeftOut(tuple(line for line, done in carried.items() if not done), len(carried))
