"""Terminal output of a run: one line for each check, and a summary of the verdict."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, TextIO, cast

from opsverify.core.exit_codes import ExitCode
from opsverify.core.stages import Outcome
from opsverify.evidence.redact import RedactedStream
from opsverify.evidence.run_folder import VERDICT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from opsverify.core.plan import Planned
    from opsverify.core.results import CheckResult
    from opsverify.core.verdict import Verdict
    from opsverify.evidence.redact import Redactor
    from opsverify.pytest_plugin.stage_run import StageRun

_WORD = {
    Outcome.PASS: "pass",
    Outcome.FAIL: "FAIL",
    Outcome.INCONCLUSIVE: "HOLD",
    Outcome.NOT_APPLICABLE: "n/a ",
    Outcome.WAIVED: "waiv",
}
_SHOWN_REASONS = 12
_REPEATS = 3
_SUMMARIZED = frozenset({0, 1, 2, 4, 5})
"""pytest's statuses after which it prints a summary."""


def print_missing_summary(run: StageRun, pytest_status: int) -> None:
    """Print the summary on stderr where pytest, after a crash, prints none."""
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
    if run.coverage:
        yield f"  compared: {run.coverage}"
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
    if run.concluded == ExitCode.HOLD:
        yield "  next: fix what could not be measured, then rerun; do not promote until then"
    yield f"  evidence: {run.folder.path}"
    for page in run.pages:
        yield f"  page: {page}"


def _without_repeats(verdict: Verdict) -> Iterator[str]:
    """The verdict's reasons, with checks of the same message (one source is down) in one line."""
    same: dict[str, list[str]] = {}
    for result in verdict.results:
        same.setdefault(result.message, []).append(result.id)
    for reason in verdict.reasons:
        check_id, _, message = reason.partition(": ")
        ids = same.get(message, [])
        if len(ids) < _REPEATS or check_id not in ids:
            yield reason
        elif check_id == ids[0]:
            yield f"{check_id} and {len(ids) - 1} more checks: {message}"


def guard_terminal(config: pytest.Config, redactor: Redactor) -> TextIO:
    """Remove secrets from what pytest prints; the guarded stream, for others to print to."""
    if config.option.capture == "no":
        sys.stdout, sys.stderr = (
            cast("TextIO", RedactedStream(stream, redactor)) for stream in (sys.stdout, sys.stderr)
        )
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return cast("TextIO", RedactedStream(sys.stdout, redactor))
    writer = reporter._tw  # noqa: SLF001 - the one way to the stream that pytest prints to
    writer._file = RedactedStream(writer._file, redactor)  # noqa: SLF001
    reporter._show_progress_info = False  # noqa: SLF001 - the lines of the results are the progress
    return cast("TextIO", writer._file)  # noqa: SLF001
