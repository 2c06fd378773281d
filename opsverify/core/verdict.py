"""Verdict: from a plan and its results to one outcome, one decision and one exit code.

The rules are those of the design page: a stage passes only if every planned check is `pass`,
`not_applicable` or `waived` and at least one is `pass`; one `fail` makes it fail; anything else, a planned
check without a result above all, is inconclusive. So is a stage that leaves out a line it decides by.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.causes import Cause, causes_of
from opsverify.core.exit_codes import EXIT, ExitCode
from opsverify.core.left_out import undecided
from opsverify.core.results import CheckResult
from opsverify.core.stages import Decision, Outcome
from opsverify.language.message import Message, say
from opsverify.language.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from opsverify.config.actions import ActionStep
    from opsverify.config.model import Target
    from opsverify.core.plan import Plan, Planned

PYTEST_TROUBLE: Final = frozenset(
    {ExitCode.INTERRUPTED, ExitCode.INTERNAL_ERROR, ExitCode.USAGE, ExitCode.NOTHING_COLLECTED}
)
"""pytest's own statuses for a run that failed as such: interrupted, internal error, usage, nothing collected."""

_SETTLED: Final = frozenset({Outcome.PASS, Outcome.NOT_APPLICABLE, Outcome.WAIVED})


@dataclass(frozen=True)
class Verdict:
    """One verdict over one plan. `troubles` are reasons to hold that belong to no single check."""

    plan: Plan
    results: tuple[CheckResult, ...]
    outcome: Outcome
    troubles: tuple[str, ...] = field(default=())

    @property
    def decision(self) -> Decision:
        """What the outcome means for this stage."""
        return self.plan.stage.decide(self.outcome)

    @property
    def executed(self) -> int:
        """How many planned checks ran to an outcome of their own."""
        return sum(result.started_at is not None for result in self.results)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Why it is not a pass, each cause once, the most important first."""
        found = causes_of(self.plan, self.results, self.troubles)
        if not found and self.outcome is Outcome.INCONCLUSIVE:
            return (Cause(Outcome.INCONCLUSIVE, say("nothing was measured: no planned check passed")),)
        return found

    @property
    def reasons(self) -> tuple[Message, ...]:
        """The causes as texts."""
        return tuple(cause.text for cause in self.causes)

    def actions(self, target: Target) -> tuple[ActionStep, ...]:
        """The steps the target configures for this decision."""
        if self.decision is Decision.PROMOTE:
            return target.actions.promote
        return target.actions.rollback if self.decision is Decision.ROLLBACK else ()

    def exit_code(self, pytest_status: int) -> int:
        """The one exit code: pytest's own where the run failed as such, else the decision's."""
        if pytest_status in PYTEST_TROUBLE:
            return pytest_status
        if self.troubles and EXIT[self.decision] is ExitCode.PASSED:
            return ExitCode.HOLD
        return EXIT[self.decision]

    def check_entries(self) -> list[dict[str, Any]]:
        """The `checks` of `verdict.json`, in the order of the plan."""
        return [result.verdict_entry(check) for result, check in zip(self.results, self.plan.checks, strict=True)]


def judge(
    plan: Plan,
    results: Mapping[str, CheckResult],
    troubles: Sequence[str] = (),
    missing: str = say("was not executed"),
) -> Verdict:
    """Judge `results` (by check id) over the whole `plan`.

    A planned check without a result is inconclusive, with `missing` as its reason; a result for a check
    that was never planned is ignored.
    """
    troubles = (*troubles, *undecided(plan))
    complete = tuple(settle(check, results.get(check.id), missing) for check in plan.checks)
    outcome = outcome_of({result.outcome for result in complete}, incomplete=bool(troubles))
    return Verdict(plan, complete, outcome, tuple(map(plain_line, troubles)))


def outcome_of(outcomes: AbstractSet[Outcome], *, incomplete: bool) -> Outcome:
    """The outcome of a run from those of all its planned checks; `incomplete`: something was not carried out."""
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    if not incomplete and outcomes <= _SETTLED and Outcome.PASS in outcomes:
        return Outcome.PASS
    return Outcome.INCONCLUSIVE


def settle(check: Planned, result: CheckResult | None, missing: str) -> CheckResult:
    """The result of a planned check as the verdict has it: absent, waived, or `missing`."""
    if check.not_applicable:
        return CheckResult(check.id, Outcome.NOT_APPLICABLE, check.not_applicable)
    if check.cannot_run:
        return CheckResult(check.id, Outcome.INCONCLUSIVE, check.cannot_run)
    if result is None:
        return CheckResult(check.id, Outcome.INCONCLUSIVE, missing)
    if check.waiver and result.outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        return CheckResult(
            check.id,
            Outcome.WAIVED,
            say("waived: {waiver}; without the waiver: {message}", waiver=check.waiver, message=result.message),
            result.started_at,
            result.duration_s,
            result.measurements,
        )
    return result
