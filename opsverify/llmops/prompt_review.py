"""Review of prompts: failure cases for the next version, and whether the version in force is better than the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.language.message import Message, say
from opsverify.units import listed

if TYPE_CHECKING:
    from opsverify.llmops.failure_cases import FailureCases
    from opsverify.llmops.prompt_test import PairedResult


@dataclass(frozen=True)
class PromptReview:
    """Chosen failure cases, and the newest version against the one before on the held-out cases."""

    cases: FailureCases
    before: str
    newest: str
    result: PairedResult

    @property
    def text(self) -> Message:
        """What the paired test says, how many cases it would take where it is undecided, and what fails always."""
        result = self.result
        found = say(
            "{newest} over {before} on {cases} cases: {gained} gained, {lost} lost, p {p_better:.3f} better, "
            "{p_worse:.3f} worse: {decision}",
            newest=self.newest, before=self.before, cases=result.cases, gained=result.gained, lost=result.lost,
            p_better=result.p_better, p_worse=result.p_worse, decision=result.decision,
        )  # fmt: skip
        if result.decision == "hold" and result.needed is not None:
            found = say("{found}; {needed} cases are needed to prove it", found=found, needed=result.needed)
        return say("{found}; {never}", found=found, never=listed(say("never answered rightly"), result.never))
