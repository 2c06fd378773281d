"""The end of a run: conclude it whatever happens, and say the verdict in a few lines."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from typing import TYPE_CHECKING, NoReturn, TextIO, cast

from opsverify.core.stages import Decision, Outcome
from opsverify.core.verdict import EXIT
from opsverify.evidence.run import VERDICT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from opsverify.core.plan import Planned
    from opsverify.core.results import CheckResult
    from opsverify.core.verdict import Verdict
    from opsverify.evidence.redact import Redactor
    from opsverify.run import StageRun

_WORD = {
    Outcome.PASS: "pass",
    Outcome.FAIL: "FAIL",
    Outcome.INCONCLUSIVE: "HOLD",
    Outcome.NOT_APPLICABLE: "n/a ",
    Outcome.WAIVED: "waiv",
}
_SHOWN_REASONS = 12
_REPEATS = 3
INTERNAL_ERROR = 3
HOLD = EXIT[Decision.HOLD]
_SUMMARIZED = frozenset({0, 1, 2, 4, 5})
"""pytest's statuses after which it prints a summary."""


def conclude(run: StageRun, pytest_status: int) -> int:
    """Conclude `run` and return its exit code; where evidence cannot be written, hold and say why."""
    try:
        _, code = run.conclude(pytest_status)
    except Exception as error:  # noqa: BLE001 - whatever breaks here must end in a hold, never in pytest's own 0
        run.troubles.append(f"evidence cannot be written to {run.folder.path}: {type(error).__name__}: {error}")
        verdict = run.judge()
        code = verdict.exit_code(pytest_status)
        code = INTERNAL_ERROR if code == 0 else code
        line = {
            "run_id": run.folder.run_id,
            "decision": verdict.decision.value,
            "reasons": list(verdict.reasons),
        }
        sys.stderr.write(run.redactor.text(f"opsverify: {json.dumps(line, ensure_ascii=False)}\n"))
        run.concluded = code
    else:
        _page(run)
    return code


def _page(run: StageRun) -> None:
    """A rehearsal ends in its page; a page that cannot be made changes no verdict."""
    from opsverify.page.runs import STAGE  # noqa: PLC0415 - only here

    if run.stage.name != STAGE:
        return
    try:
        from opsverify.page.publish import publish_rehearsal  # noqa: PLC0415

        page = publish_rehearsal(run.folder.path, run.folder.path)
        run.pages.append(str(page))
    except Exception as error:  # noqa: BLE001 - the verdict is written, and stays what it is
        sys.stderr.write(run.redactor.text(f"opsverify: no page: {type(error).__name__}: {error}\n"))


def exit_status(pytest_status: int, concluded: int | None) -> int:
    """The process's exit code: the verdict's; without a verdict never one that stands for a decision."""
    if concluded is not None:
        return concluded
    return HOLD if pytest_status in EXIT.values() else pytest_status


def guard_exit() -> Callable[[], None]:
    """Let no check end this process with a decision's exit code (`os._exit(0)`); return the way back."""
    leave, process = os._exit, os.getpid()

    def guarded(status: int) -> NoReturn:
        leave(INTERNAL_ERROR if os.getpid() == process and status in EXIT.values() else status)

    def undo() -> None:
        os._exit = leave

    os._exit = guarded
    return undo


def report_unsaid(run: StageRun, pytest_status: int) -> None:
    """Say the verdict on stderr where pytest, after a crash, prints no summary."""
    if pytest_status not in _SUMMARIZED:
        sys.stderr.write(run.redactor.text("\n".join([*summary(run), ""])))


def result_line(check: Planned, result: CheckResult, language: str) -> str:
    """One line for one finished check."""
    tail = f"  {result.message}" if result.message else ""
    title = check.title(language) if result.outcome is Outcome.PASS else ""
    return f"{_WORD[result.outcome]}  {check.id}  {title or ''}{tail}".replace("    ", "  ")


def summary(run: StageRun) -> Iterator[str]:
    """The verdict: decision, counts, reasons, next commands, and where the evidence is."""
    verdict = run.judge()
    counts = {outcome: sum(r.outcome is outcome for r in verdict.results) for outcome in Outcome}
    yield ""
    yield (
        f"{run.stage.name} on {run.target.name}: {verdict.decision.value.upper()}  (exit {run.concluded}; "
        + ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
        + f"; {verdict.executed} of {len(verdict.plan.checks)} planned checks executed)"
    )
    for note in run.notes:
        yield f"  note: {note}"
    reasons = tuple(_without_repeats(verdict))
    for reason in reasons[:_SHOWN_REASONS]:
        yield f"  because {textwrap.shorten(reason, 400)}"
    if len(reasons) > _SHOWN_REASONS:
        yield f"  and {len(reasons) - _SHOWN_REASONS} more reasons in {VERDICT}"
    steps = verdict.actions(run.target)
    for step in steps:
        yield f"  next: {run.command(verdict, step)}    (runbook {step.runbook})"
    if steps:
        yield f"  next: or all of it, verified: opsverify act {run.folder.path} --target {run.target_file} --yes"
    if run.concluded == HOLD:
        yield "  next: mend what could not be measured and run the stage again; promote nothing until then"
    yield f"  evidence: {run.folder.path}"
    for page in run.pages:
        yield f"  page: {page}"


def _without_repeats(verdict: Verdict) -> Iterator[str]:
    """The verdict's reasons, with checks that say the very same (one source is down) in one line."""
    told: dict[str, list[str]] = {}
    for result in verdict.results:
        told.setdefault(result.message, []).append(result.id)
    for reason in verdict.reasons:
        check_id, _, message = reason.partition(": ")
        ids = told.get(message, [])
        if len(ids) < _REPEATS or check_id not in ids:
            yield reason
        elif check_id == ids[0]:
            yield f"{check_id} and {len(ids) - 1} more checks: {message}"


def guard_terminal(config: pytest.Config, redactor: Redactor) -> TextIO:
    """Let no secret reach what pytest prints; the guarded stream, for others to print to."""
    from opsverify.evidence.redact import RedactedStream  # noqa: PLC0415 - only here

    if config.option.capture == "no":
        sys.stdout, sys.stderr = (
            cast("TextIO", RedactedStream(stream, redactor)) for stream in (sys.stdout, sys.stderr)
        )
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return cast("TextIO", RedactedStream(sys.stdout, redactor))
    writer = reporter._tw  # noqa: SLF001 - the one way to the stream that pytest prints to
    writer._file = RedactedStream(writer._file, redactor)  # noqa: SLF001
    reporter._show_progress_info = False  # noqa: SLF001 - the results' own lines are the progress
    return cast("TextIO", writer._file)  # noqa: SLF001
