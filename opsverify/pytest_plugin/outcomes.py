"""Outcome of one running check: started, judged phase by phase, and put on pytest's report."""

from __future__ import annotations

import datetime as dt
import inspect
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from opsverify.core.check import Check
from opsverify.core.results import CheckResult
from opsverify.core.stages import Outcome
from opsverify.errors import Inconclusive, MachineBusy
from opsverify.evidence.run_folder import timestamp
from opsverify.language.message import in_language, join, say

if TYPE_CHECKING:
    from opsverify.core.plan import Planned
    from opsverify.evidence.allure import AllureRecorder
    from opsverify.evidence.redact import Redactor
    from opsverify.pytest_plugin.stage_run import StageRun

_CHECK = pytest.StashKey[Check]()
_STARTED = pytest.StashKey[dt.datetime]()
_OUTCOME = pytest.StashKey[tuple[Outcome, str, str]]()
"""The worst outcome so far, with its message, and pytest's text of what stopped the phase."""
_RESULT = "opsverify_result"
_WORSE = (Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL)
"""Outcomes of phases and subtests, the worst one last."""


def start_check(item: pytest.Item, planned: Planned, run: StageRun, recorder: AllureRecorder) -> None:
    """Make the item's check, and begin its record."""
    recorder.begin(item, planned)
    item.stash[_CHECK] = run.running = Check(planned, run.target, recorder)
    item.stash[_STARTED] = dt.datetime.now(dt.UTC)


def running_check(item: pytest.Item) -> Check:
    """The check of an item that has been started."""
    return item.stash[_CHECK]


def require_running(run: StageRun) -> Check:
    """The check of `run` that is running. Raises LookupError before the first one."""
    if run.running is None:
        raise LookupError("no check is running")
    return run.running


def note_phase(
    item: pytest.Item,
    call: pytest.CallInfo[None],
    report: pytest.TestReport,
    recorder: AllureRecorder,
    redactor: Redactor,
) -> None:
    """Judge a phase (setup, call, teardown); after the last one record the result, and put it on the report."""
    check = running_check(item)
    judged = _judge_phase(item, check, call, report)
    stopped = report.failed or report.skipped
    if judged is not None:
        before = item.stash.get(_OUTCOME, None)
        if before is None or before[0] is Outcome.PASS or _WORSE.index(judged[0]) > _WORSE.index(before[0]):
            item.stash[_OUTCOME] = (judged[0], redactor.text(judged[1]), report.longreprtext if stopped else "")
    if stopped:
        expected = call.excinfo is not None and isinstance(call.excinfo.value, AssertionError | Inconclusive)
        text = redactor.text(judged[1] if expected and judged else report.longreprtext)
        report.longrepr = in_language(text, check.target.language)
    if report.sections:
        report.sections = [(name, redactor.text(text)) for name, text in report.sections]
    if report.when == "teardown":
        started = item.stash[_STARTED]
        outcome, message, trace = item.stash.get(_OUTCOME, (Outcome.INCONCLUSIVE, say("its body did not run"), ""))
        result = CheckResult(
            check.planned.id,
            outcome,
            message,
            timestamp(started),
            (dt.datetime.now(dt.UTC) - started).total_seconds(),
            tuple(check.measurements),
            check.coverage,
        )
        clean = _writable(result.each(redactor.data))
        recorder.end(clean, trace, report)
        setattr(report, _RESULT, clean.to_dict() if hasattr(item.config, "workerinput") else clean)


def _writable(result: CheckResult) -> CheckResult:
    """`result`, or one without measurements where they cannot be written: the run's verdict is written with them."""
    try:
        json.dumps(result.to_dict(), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        why = say("measured, but the result cannot be written: {error}", error=error)
        return replace(result, outcome=Outcome.INCONCLUSIVE, message=why, measurements=(), coverage="")
    return result


def result_on(report: pytest.TestReport) -> CheckResult | None:
    """The result that a report carries, if it is the last one of its check."""
    content = getattr(report, _RESULT, None)
    return CheckResult.from_dict(content) if isinstance(content, dict) else content


def _judge_phase(
    item: pytest.Item, check: Check, call: pytest.CallInfo[None], report: pytest.TestReport
) -> tuple[Outcome, str] | None:
    """The outcome of one phase, with its message; None for a setup or teardown that passed."""
    called = report.when == "call"
    if call.excinfo is None:
        if report.failed:  # a failure that pytest itself reports of a body that passed
            return Outcome.INCONCLUSIVE, say("pytest reports a failure: {text}", text=report.longreprtext.strip())
        return (Outcome.PASS, join("; ", (m.message for m in check.measurements))) if called else None
    error = call.excinfo.value
    message = str(error) if str(error).strip() else type(error).__name__
    excused = isinstance(error, pytest.skip.Exception | pytest.xfail.Exception)
    if called and not excused and (isinstance(error, AssertionError) or _failed_by_the_check(item, call.excinfo)):
        return Outcome.FAIL, message
    outside = join("; ", (measurement.message for measurement in check.outside))
    if called and outside and not isinstance(error, MachineBusy):
        return Outcome.FAIL, say("{outside}; then aborted: {error}", outside=outside, error=message)
    if excused:
        message = say("skipped, not measured: {reason}", reason=message)
    elif not isinstance(error, Inconclusive):
        what = {"setup": say("setup failed"), "teardown": say("teardown failed")}.get(report.when or "", say("aborted"))
        message = say("{what}: {kind}: {error}", what=what, kind=type(error).__name__, error=_first_line(message))
    return Outcome.INCONCLUSIVE, message


def _failed_by_the_check(item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether it was the check's body that called `pytest.fail`: pytest and its plugins do so of their own as well."""
    function = getattr(item, "function", None)
    bodies = {getattr(each, "__code__", None) for each in (function, inspect.unwrap(function) if function else None)}
    return isinstance(excinfo.value, pytest.fail.Exception) and any(
        entry.frame.code.raw in bodies for entry in excinfo.traceback
    )


def _first_line(message: str) -> str:
    """The message itself where it is one line: cutting it would leave the English one only."""
    return message.splitlines()[0] if len(message.splitlines()) > 1 else message
