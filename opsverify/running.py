"""One running check between pytest's hooks: started, its phases noted, its result put on the report."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from opsverify.check import Check
from opsverify.errors import Inconclusive
from opsverify.evidence.allure import AllureEvidence, describe_running
from opsverify.evidence.run import timestamp
from opsverify.results import CheckResult
from opsverify.stages import Outcome

if TYPE_CHECKING:
    from opsverify.evidence.redact import Redactor
    from opsverify.plan import Planned
    from opsverify.run import StageRun

_CHECK = pytest.StashKey[Check]()
_STARTED = pytest.StashKey[dt.datetime]()
_OUTCOME = pytest.StashKey[tuple[Outcome, str]]()
_WIRE = "opsverify_result"


def start_check(item: pytest.Item, planned: Planned, run: StageRun) -> None:
    """Make the item's check and put its titles and labels on the evidence."""
    item.stash[_CHECK] = Check(planned, run.target, AllureEvidence())
    item.stash[_STARTED] = dt.datetime.now(dt.UTC)
    describe_running(planned, run.target, run.stage.name)


def running_check(item: pytest.Item) -> Check:
    """The check of an item that has been started."""
    return item.stash[_CHECK]


def note_phase(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, redactor: Redactor
) -> None:
    """Note what a phase (setup, call, teardown) says; after the last one put the result on the report."""
    check = running_check(item)
    outcome, message = _judge_phase(check, call, report)
    before = item.stash.get(_OUTCOME, None)
    if before is None or (before[0] is Outcome.PASS and outcome is not Outcome.PASS) or report.when == "call":
        item.stash[_OUTCOME] = (outcome, redactor.text(message))
    if report.failed or report.skipped:
        expected = call.excinfo is not None and isinstance(call.excinfo.value, AssertionError | Inconclusive)
        report.longrepr = redactor.text(message if expected else report.longreprtext)
    report.sections = [(name, redactor.text(text)) for name, text in report.sections]
    if report.when == "teardown":
        started = item.stash[_STARTED]
        outcome, message = item.stash[_OUTCOME]
        result = CheckResult(
            check.planned.id,
            outcome,
            message,
            timestamp(started),
            (dt.datetime.now(dt.UTC) - started).total_seconds(),
            tuple(check.measurements),
        )
        setattr(report, _WIRE, redactor.data(result.to_wire()))


def result_on(report: pytest.TestReport) -> CheckResult | None:
    """The result that a report carries, if it is the last one of its check."""
    wire = getattr(report, _WIRE, None)
    return CheckResult.from_wire(wire) if wire else None


def _judge_phase(check: Check, call: pytest.CallInfo[None], report: pytest.TestReport) -> tuple[Outcome, str]:
    outside = "; ".join(m.message for m in check.measurements if not m.holds)
    if call.excinfo is None:
        if report.when == "call":
            return Outcome.PASS, "; ".join(m.message for m in check.measurements)
        return Outcome.PASS, ""
    error = call.excinfo.value
    said = str(error).strip() or type(error).__name__
    if report.when == "call" and isinstance(error, AssertionError | pytest.fail.Exception):
        return Outcome.FAIL, said
    if outside and report.when == "call":
        return Outcome.FAIL, f"{outside}; then could not go on: {said}"
    if isinstance(error, Inconclusive):
        return Outcome.INCONCLUSIVE, said
    if isinstance(error, pytest.skip.Exception):
        return Outcome.INCONCLUSIVE, f"skipped, so not measured: {said}"
    phase = {"setup": "could not be prepared", "teardown": "left something behind"}.get(
        report.when, "broke off"
    )
    return Outcome.INCONCLUSIVE, f"{phase}: {type(error).__name__}: {said.splitlines()[0]}"
