"""Change of a stage: its state is another one than what was told last."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.decision_words import DECISIONS, capitals
from opsverify.core.stages import Decision
from opsverify.language.message import Message, say

if TYPE_CHECKING:
    from collections.abc import Mapping

_RED: Final = frozenset({"fail", "inconclusive"})
_WELL: Final = frozenset({Decision.PROMOTE, Decision.ACCEPT})
_WITHOUT_CHECK: Final = "sev2"
"""Severity of a run that holds for itself, as after a lost worker."""


@dataclass(frozen=True)
class StageState:
    """What a stage came to: its decision, the digest of the checks that were red, and their gravest severity."""

    decision: str
    red: str
    severity: str

    @classmethod
    def of(cls, verdict: Mapping[str, Any]) -> StageState:
        """The state that `verdict.json` says."""
        red = {check["id"]: check["severity"] for check in verdict["checks"] if check["outcome"] in _RED}
        digest = hashlib.sha256("\n".join(sorted(red)).encode()).hexdigest()
        return cls(verdict["decision"], digest, min(red.values(), default=_WITHOUT_CHECK))

    @property
    def well(self) -> bool:
        """Whether nothing has to be done."""
        return self.decision in _WELL

    def is_news_after(self, told: StageState | None) -> bool:
        """Whether a person has to hear of it: a first state only where something has to be done."""
        if told is None:
            return not self.well
        return (self.decision, self.red) != (told.decision, told.red)


@dataclass(frozen=True)
class StateChange:
    """One change: the run that found it, what was told before (None: nothing yet), and the reasons in both languages.

    `severity` is that of the red checks, after a recovery that of what was told before.
    """

    run_id: str
    target: str
    environment: str
    stage: str
    at: str
    state: StageState
    before: str | None
    severity: str
    reasons: tuple[str, ...]
    reasons_ko: tuple[str, ...]

    @classmethod
    def of(cls, verdict: Mapping[str, Any], told: StageState | None) -> StateChange:
        """The event of a verdict after what was told."""
        state = StageState.of(verdict)
        return cls(
            verdict["run_id"],
            verdict["target"],
            verdict["environment"],
            verdict["stage"],
            verdict["finished_at"],
            state,
            told.decision if told else None,
            told.severity if told and state.well else state.severity,
            tuple(verdict["reasons"]),
            tuple(verdict["reasons_ko"]),
        )

    @property
    def title(self) -> Message:
        """One line: decision, stage, target, severity, and the decision before."""
        decision = capitals(self.state.decision)
        if self.before is None:
            return say(
                "{decision}: {stage} on {target} ({severity})",
                decision=decision,
                stage=self.stage,
                target=self.target,
                severity=self.severity,
            )
        return say(
            "{decision}: {stage} on {target} ({severity}), before: {before}",
            decision=decision,
            stage=self.stage,
            target=self.target,
            severity=self.severity,
            before=DECISIONS.get(self.before, self.before),
        )

    def to_dict(self) -> dict[str, Any]:
        """As it is kept until it is delivered."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> StateChange:
        """The inverse of `to_dict`. Raises KeyError or TypeError for anything else."""
        reasons = {key: tuple(content[key]) for key in ("reasons", "reasons_ko")}
        return cls(**{**content, **reasons, "state": StageState(**content["state"])})
