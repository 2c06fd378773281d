"""Traceability: each line of the runbook with what carries it out, and with its newest result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.stages import Outcome
from opsverify.language.message import Message, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opsverify.core.plan import Planned
    from opsverify.core.results import CheckResult
    from opsverify.core.runbook import Line

WORST: Final = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.WAIVED, Outcome.PASS, Outcome.NOT_APPLICABLE)
"""Outcomes, the one that decides about several checks first."""
_WORDS: Final = {
    Outcome.PASS: say("pass"),
    Outcome.FAIL: say("fail"),
    Outcome.INCONCLUSIVE: say("inconclusive"),
    Outcome.NOT_APPLICABLE: say("not_applicable"),
    Outcome.WAIVED: say("waived"),
}


@dataclass(frozen=True)
class LineResult:
    """What a finished run, or a person, said of a line: outcome, when, and the run or the person."""

    outcome: Outcome
    at: str
    source: str


@dataclass(frozen=True)
class Carried:
    """One line in one of its stages: the checks that carry it out there, or none.

    `result` is the newest one, None where no run has carried it out; `signed` of a person.
    """

    line: Line
    stage: str
    checks: tuple[str, ...]
    result: LineResult | None = None

    @property
    def state(self) -> Message:
        """The newest result in words."""
        if self.line.out_of_scope:
            return self.line.out_of_scope.text
        if self.result is None:
            return say("never run") if self.checks else say("never signed for")
        return say("{outcome} ({source})", outcome=_WORDS[self.result.outcome], source=self.result.source)

    def to_dict(self) -> dict[str, Any]:
        """The entry of `opsverify runbook --json`."""
        return {
            "line": self.line.id,
            "ko": self.line.ko,
            "en": self.line.en,
            "stage": self.stage,
            "checks": list(self.checks),
            "out_of_scope": None if self.line.out_of_scope is None else str(self.line.out_of_scope.text),
            "result": self.result and {**vars(self.result), "outcome": self.result.outcome.value},
        }


def carried(lines: Iterable[Line], plans: Mapping[str, Iterable[Planned]]) -> Iterator[Carried]:
    """Every line in each of its stages, with the ids of the checks that those `plans` have for it."""
    ids: dict[tuple[str, str], dict[str, None]] = {}
    for stage, checks in plans.items():
        for check in checks:
            if check.attests is None:
                for name in check.lines:
                    ids.setdefault((stage, name), {})[check.id] = None
    for line in lines:
        for stage in line.stages:
            yield Carried(line, stage, tuple(ids.get((stage, line.id), ())))


def newest_result(row: Carried, verdicts: Sequence[Mapping[str, Any]]) -> LineResult | None:
    """The result of the line in the newest run of its stage: the worst of its checks."""
    for verdict in verdicts:
        if verdict.get("stage") != row.stage:
            continue
        outcomes = {entry["outcome"] for entry in verdict["checks"] if row.line.id in entry.get("lines", ())}
        worst = next((outcome for outcome in WORST if outcome.value in outcomes), None)
        if worst is not None:
            return LineResult(worst, str(verdict["finished_at"]), str(verdict["run_id"]))
    return None


def signed_result(found: CheckResult) -> LineResult | None:
    """The result of a line that a person signed for; None where nobody has."""
    return LineResult(found.outcome, found.started_at, found.message) if found.started_at else None
