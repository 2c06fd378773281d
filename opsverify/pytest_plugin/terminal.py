"""Terminal of a run: on a terminal one live line and counted families, elsewhere one plain line for each check."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TextIO, cast

from opsverify.core.stages import Outcome
from opsverify.core.verdict import settle
from opsverify.evidence.redact import RedactedStream
from opsverify.language.cells import cut
from opsverify.language.message import as_message, say
from opsverify.pytest_plugin.child_output import guard_children
from opsverify.pytest_plugin.early_guard import guard_streams
from opsverify.pytest_plugin.progress import LiveLine, PlainLines
from opsverify.pytest_plugin.summary import COLOURS, ScreenRow, families, plain, result_line, summary

if TYPE_CHECKING:
    import pytest

    from opsverify.core.plan import Planned
    from opsverify.core.results import CheckResult
    from opsverify.evidence.redact import Redactor
    from opsverify.pytest_plugin.stage_run import StageRun

_SUMMARIZED: Final = frozenset({0, 1, 2, 4, 5})
"""pytest's statuses after which it prints a summary."""
_FOLDED: Final = frozenset({Outcome.PASS, Outcome.NOT_APPLICABLE})
DEFAULT_COLUMNS: Final = 80


class Screen:
    """What one run prints. `-v` prints every check on a terminal too."""

    def __init__(self, config: pytest.Config, run: StageRun) -> None:
        self._run = run
        self._reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
        stream = guard_terminal(config, run.redactor)
        self._folds = stream.isatty() and not run.verbose and config.option.capture != "no"
        self._columns = columns_of(stream)
        self._seen: dict[str, str] = {}
        self._progress = (
            LiveLine(run, self._reporter._tw, stream)  # noqa: SLF001 - the stream that pytest prints to
            if self._folds and self._reporter is not None
            else PlainLines(run.folder.path, stream)
        )

    def start(self) -> None:
        """Show progress from now on."""
        self._progress.start()

    def stop(self) -> None:
        """Show no more progress."""
        self._progress.stop()

    def result(self, check: Planned, result: CheckResult) -> None:
        """Print a finished check; on a terminal only what did not pass, each message once, in one row."""
        settled = settle(check, result, "")
        self._progress.finished(settled)
        first = self._seen.setdefault(as_message(settled.message).cause, settled.id)
        if self._folds and (settled.outcome in _FOLDED or first != settled.id):
            return
        if first != settled.id and len(settled.message) > DEFAULT_COLUMNS and settled.outcome not in _FOLDED:
            settled = replace(settled, message=say("as {check}", check=first))
        line = result_line(check, settled, self._run.target.language)
        marks = () if settled.outcome is Outcome.PASS else (COLOURS[settled.outcome],)
        self._write(ScreenRow(cut(line, self._columns or DEFAULT_COLUMNS) if self._folds else line, marks))

    def end(self) -> None:
        """End with the verdict, after the families of checks where their lines were folded."""
        if self._folds:
            for row in families(self._run.judge().results, self._run.target.language):
                self._write(row)
        for row in summary(self._run, self._columns):
            self._write(row)

    def _write(self, row: ScreenRow) -> None:
        if self._reporter is not None:
            self._reporter.write_line(row.text, **dict.fromkeys(row.marks, True))


def print_missing_summary(run: StageRun, pytest_status: int) -> None:
    """Print the summary on stderr where pytest, after a crash, prints none."""
    if pytest_status not in _SUMMARIZED:
        sys.stderr.write(run.redactor.text(plain(list(summary(run, columns_of(sys.stderr))))))


def columns_of(stream: TextIO) -> int | None:
    """The columns of a terminal, or of `COLUMNS`; None for a stream whose lines may be of any length."""
    if stream.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return max(shutil.get_terminal_size((DEFAULT_COLUMNS, 24)).columns, 40)
    return None


def guard_terminal(config: pytest.Config, redactor: Redactor) -> TextIO:
    """Remove secrets from what pytest prints; the guarded stream, for others to print to."""
    if config.option.capture == "no":
        guard_children(redactor)
        sys.stdout, sys.stderr = (
            cast("TextIO", RedactedStream(stream, redactor)) for stream in (sys.stdout, sys.stderr)
        )
    else:
        guard_streams(config.pluginmanager, redactor)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return cast("TextIO", RedactedStream(sys.stdout, redactor))
    writer = reporter._tw  # noqa: SLF001 - the one way to the stream that pytest prints to
    writer._file = RedactedStream(writer._file, redactor)  # noqa: SLF001
    reporter._show_progress_info = False  # noqa: SLF001 - the lines of the results are the progress
    return cast("TextIO", writer._file)  # noqa: SLF001
