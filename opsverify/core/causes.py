"""Causes: why a verdict is not a pass. One cause is one reason, however many checks it keeps from passing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.config.severity import SEVERITIES
from opsverify.core.stages import Outcome
from opsverify.language.message import Message, as_message, pair, say, unpair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opsverify.core.plan import Plan
    from opsverify.core.results import CheckResult


@dataclass(frozen=True)
class Cause:
    """One cause: what it makes of its checks (`fail`, `inconclusive`), its message, and the ids of the checks.

    Without checks it is a fault of the run itself.
    """

    outcome: Outcome
    message: Message
    checks: tuple[str, ...] = ()

    @property
    def text(self) -> Message:
        """The cause as a reason of the verdict: with the id of its check, or the number of its checks."""
        if len(self.checks) > 1:
            return say("{message}  ({count} checks)", message=self.message, count=len(self.checks))
        return say("{check}: {message}", check=self.checks[0], message=self.message) if self.checks else self.message

    def to_dict(self) -> dict[str, Any]:
        """One entry of `causes` in `verdict.json`."""
        return {"outcome": self.outcome.value, **pair("message", self.message), "checks": list(self.checks)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Cause:
        """The inverse of `to_dict`."""
        return cls(Outcome(content["outcome"]), unpair(content, "message"), tuple(content["checks"]))


def causes_of(plan: Plan, results: Sequence[CheckResult], troubles: Iterable[str]) -> tuple[Cause, ...]:
    """The causes of `results` (in the order of `plan`): failures, then faults of the run, then what was not measured.

    Within each, the gravest severity first.
    """
    severity = {check.id: SEVERITIES.index(check.severity) for check in plan.checks}

    def grouped(outcome: Outcome) -> Iterator[Cause]:
        groups: dict[str, list[CheckResult]] = {}
        for result in results:
            if result.outcome is outcome:
                groups.setdefault(as_message(result.message).cause, []).append(result)
        found = [Cause(outcome, _common(group), tuple(result.id for result in group)) for group in groups.values()]
        yield from sorted(found, key=lambda cause: min(severity[check] for check in cause.checks))

    run = (Cause(Outcome.INCONCLUSIVE, as_message(trouble)) for trouble in dict.fromkeys(troubles))
    return (*grouped(Outcome.FAIL), *run, *grouped(Outcome.INCONCLUSIVE))


def _common(group: Sequence[CheckResult]) -> Message:
    """The message of a group: with its details where all of them have the same."""
    message = as_message(group[0].message)
    return message if all(result.message == message for result in group) else message.cause
