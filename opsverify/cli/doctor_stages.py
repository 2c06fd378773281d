"""Stages, as `opsverify doctor` finds them: what keeps each on hold on this target before anything is measured."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from opsverify.cli.doctor_findings import DoctorFinding
from opsverify.cli.plan import collect
from opsverify.config.signals import Signals
from opsverify.core.left_out import undecided
from opsverify.core.plan import UNDECIDED, Plan, with_uncovered
from opsverify.core.results import CheckResult
from opsverify.core.runbook import lines
from opsverify.core.stages import STAGES, Outcome
from opsverify.core.verdict import judge
from opsverify.core.waivers import waivers_of_no_check
from opsverify.language.message import join, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.language.message import Message

_WHENEVER: Final = "1970-01-01T00:00:00Z"
"""When a check began that is only supposed to pass: a result without a time counts as not executed."""


def stage_findings(target_file: Path, target: Target, root: Path) -> Iterator[DoctorFinding]:
    """Waivers of no check, questions the target leaves open, checks that cannot run, and what each stage lacks."""
    plans = {name: collect(name, str(target_file), root) for name in STAGES}
    planned = {name: found.planned.values() for name, found in plans.items()}
    for trouble in dict.fromkeys(trouble for found in plans.values() for trouble in found.troubles):
        yield DoctorFinding("suites", ok=False, text=trouble)
    known = {check.id for checks in planned.values() for check in checks}
    for key, text in waivers_of_no_check(target, known):
        yield DoctorFinding(key, ok=False, text=text)
    told: set[str] = set()
    for key, question in _open_questions(target):
        told.add(question)
        yield DoctorFinding(key, ok=False, text=question, lacking=True)
    for check in (check for checks in planned.values() for check in checks):
        if check.cannot_run and not check.not_applicable and check.cannot_run not in told:
            told.add(check.cannot_run)
            yield DoctorFinding(check.id, ok=False, text=check.cannot_run, lacking=True)
    with contextlib.chdir(root):  # the project's own runbook is found from the working directory
        stages = [
            _of_stage(Plan(found.stage, with_uncovered(found.stage, target, planned[name])), len(planned[name]))
            for name, found in plans.items()
        ]
    yield from stages


def _open_questions(target: Target) -> Iterator[tuple[str, Message]]:
    """Every absence whose reason is only a question, by its key; checks that need it say the same."""
    signals = target.prometheus.signals if target.prometheus else None
    absences: dict[str, tuple[str, str]] = {f"absent.{part}": (part, reason) for part, reason in target.absent.items()}
    for name in Signals.model_fields if signals else ():
        if (reason := getattr(getattr(signals, name), "absent", None)) is not None:
            absences[f"signals.{name}"] = (say("signal {name}", name=name), reason)
    for key, (what, reason) in absences.items():
        if reason.lstrip().startswith(UNDECIDED):
            yield (
                key,
                say(
                    "the target leaves open whether there is {what}; describe it, or write the reason why there is "
                    "none",
                    what=what,
                ),
            )


def _of_stage(plan: Plan, count: int) -> DoctorFinding:
    """Whether the stage could pass: the verdict over its plan, if all that can be measured passes.

    `count` of its entries are checks, the others lines without one.
    """
    applied = [check for check in plan.checks if not check.not_applicable]
    unsigned = [check.attests for check in applied if check.attests]
    held = sum(bool(check.cannot_run) for check in applied)
    wanting: list[str] = []
    if unsigned:
        wanting.append(
            say(
                "no check for {missing}: the stage holds; describe what they need, sign for them "
                "(`opsverify attest --list {stage}`), or take them out of scope in runbook.toml with owner and reason",
                missing=", ".join(unsigned),
                stage=plan.stage.name,
            )
        )
    if held:
        wanting.append(say("{held} of them cannot run: the stage holds", held=held))
    wanting += undecided(plan)
    if not wanting:
        passed = (CheckResult(check.id, Outcome.PASS, "", _WHENEVER) for check in applied)
        verdict = judge(plan, {result.id: result for result in passed})
        wanting += verdict.reasons if verdict.outcome is not Outcome.PASS else ()
    of = say("{applied} of {count} checks apply", applied=len(applied) - len(unsigned), count=count)
    covered = [] if unsigned else [_lines_text(plan)]
    text = join("; ", (of, *wanting)) if wanting else join("; ", (*covered, of))
    return DoctorFinding(f"stage {plan.stage.name}", not wanting, text, lacking=True)


def _lines_text(plan: Plan) -> Message:
    known = lines()
    out = [name for name, line in known.items() if plan.stage.name in line.stages and line.out_of_scope]
    if not out:
        return say("every line has a check")
    return say("every line has a check, or is out of scope ({count})", count=len(out))
