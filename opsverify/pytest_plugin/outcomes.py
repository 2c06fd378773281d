"""One running check between pytest's hooks: started, its phases noted, its result put on the report."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from opsverify.core.check import Check
from opsverify.core.results import CheckResult
from opsverify.core.stages import Outcome
from opsverify.errors import Inconclusive
from opsverify.evidence.allure import AllureEvidence, describe_running
from opsverify.evidence.run_folder import timestamp

if TYPE_CHECKING:
    from opsverify.core.plan import Planned
    from opsverify.evidence.redact import Redactor
    from opsverify.pytest_plugin.stage_run import StageRun

_CHECK = pytest.StashKey[Check]()
_STARTED = pytest.StashKey[dt.datetime]()
_OUTCOME = pytest.StashKey[tuple[Outcome, str]]()
_WIRE = "opsverify_result"
_WORSE = (Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL)
"""Outcomes of phases and subtests: the worst one stands."""


def start_check(item: pytest.Item, planned: Planned, run: StageRun) -> None:
    """Make the item's check."""
    item.stash[_CHECK] = Check(planned, run.target, AllureEvidence())
    item.stash[_STARTED] = dt.datetime.now(dt.UTC)


def running_check(item: pytest.Item) -> Check:
    """The check of an item that has been started."""
    return item.stash[_CHECK]


def note_phase(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, stage: str, redactor: Redactor
) -> None:
    """Note what a phase (setup, call, teardown) says; after the last one put the result on the report."""
    check = running_check(item)
    said = _judge_phase(check, call, report)
    if said is not None:
        before = item.stash.get(_OUTCOME, None)
        if before is None or before[0] is Outcome.PASS or _WORSE.index(said[0]) > _WORSE.index(before[0]):
            item.stash[_OUTCOME] = (said[0], redactor.text(said[1]))
    if report.failed or report.skipped:
        expected = call.excinfo is not None and isinstance(call.excinfo.value, AssertionError | Inconclusive)
        report.longrepr = redactor.text(said[1] if expected and said else report.longreprtext)
    report.sections = [(name, redactor.text(text)) for name, text in report.sections]
    if report.when == "teardown":
        # Not earlier: allure-pytest gives the test its function's name and docstring after the set-up.
        describe_running(check.planned, check.target, stage)
        started = item.stash[_STARTED]
        outcome, message = item.stash.get(_OUTCOME, (Outcome.INCONCLUSIVE, "its body was never run"))
        result = CheckResult(
            check.planned.id,
            outcome,
            message,
            timestamp(started),
            (dt.datetime.now(dt.UTC) - started).total_seconds(),
            tuple(check.measurements),
        )
        setattr(report, _WIRE, redactor.data(result.to_dict()))


def result_on(report: pytest.TestReport) -> CheckResult | None:
    """The result that a report carries, if it is the last one of its check."""
    wire = getattr(report, _WIRE, None)
    return CheckResult.from_dict(wire) if wire else None


def _judge_phase(check: Check, call: pytest.CallInfo[None], report: pytest.TestReport) -> tuple[Outcome, str] | None:
    """What one phase says of its check; None for a setup or teardown that went well."""
    called = report.when == "call"
    if call.excinfo is None:
        if report.failed:  # what pytest itself holds against a body that ended well
            return Outcome.INCONCLUSIVE, f"pytest reports a failure: {report.longreprtext.strip()}"
        return (Outcome.PASS, "; ".join(m.message for m in check.measurements)) if called else None
    error = call.excinfo.value
    said = str(error).strip() or type(error).__name__
    excused = isinstance(error, pytest.skip.Exception | pytest.xfail.Exception)
    if called and not excused and isinstance(error, AssertionError | pytest.fail.Exception):
        return Outcome.FAIL, said
    outside = "; ".join(m.message for m in check.measurements if not m.holds)
    if called and outside:
        return Outcome.FAIL, f"{outside}; then could not go on: {said}"
    if excused:
        said = f"skipped, so not measured: {said}"
    elif not isinstance(error, Inconclusive):
        phase = {"setup": "could not be prepared", "teardown": "left something behind"}
        went = phase.get(report.when or "", "broke off")
        said = f"{went}: {type(error).__name__}: {said.splitlines()[0]}"
    return Outcome.INCONCLUSIVE, said
