"""Progress of a long run: written by any of its processes, shown by the one that has the terminal."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, TextIO

from opsverify.core.stages import Outcome
from opsverify.language.message import in_language, join, say
from opsverify.pytest_plugin.stop_signal import leave_stops_to_the_main_thread

if TYPE_CHECKING:
    from pathlib import Path

    from rich.live import Live
    from rich.text import Text

    from opsverify.core.results import CheckResult
    from opsverify.pytest_plugin.stage_run import StageRun

NAME = ".progress"
PLAIN_EVERY_S = 30.0
_POLL_S = 0.5


def report_progress(folder: Path, language: str, text: str) -> None:
    """Write a line of progress, in the reader's language; any process of the run may."""
    with (folder / NAME).open("a", encoding="utf-8") as file:
        file.write(in_language(text, language).replace("\n", " ") + "\n")


class Newest:
    """The newest line of progress that any process of a run has written."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME
        self._read = 0

    def line(self) -> str:
        """The newest line since the last call; empty where there is none."""
        try:
            with self._file.open(encoding="utf-8") as file:
                file.seek(self._read)
                lines = file.read().splitlines()
                self._read = file.tell()
        except OSError:  # no progress has been written yet
            return ""
        return lines[-1] if lines else ""

    def remove(self) -> None:
        """Remove the file: it is no evidence."""
        self._file.unlink(missing_ok=True)


class PlainLines:
    """Progress in a log: the newest line, every 30 seconds."""

    def __init__(self, folder: Path, stream: TextIO) -> None:
        self._newest = Newest(folder)
        self._stream = stream
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="opsverify-progress", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def finished(self, result: CheckResult) -> None:
        """Nothing: every check has a line of its own."""

    def stop(self) -> None:
        """Stop polling, and remove the file."""
        self._ended.set()
        self._thread.join()
        self._newest.remove()

    def _poll(self) -> None:
        leave_stops_to_the_main_thread()
        shown_at = float("-inf")
        while not self._ended.wait(_POLL_S):
            if time.monotonic() - shown_at >= PLAIN_EVERY_S and (line := self._newest.line()):
                shown_at = time.monotonic()
                self._stream.write(f"....  {line}\n")
                self._stream.flush()


class LiveLine:
    """Progress on a terminal: one line in place, with counts and time; what is printed goes above it."""

    def __init__(self, run: StageRun, writer: Any, stream: TextIO) -> None:  # noqa: ANN401 - pytest's terminal writer
        self._run = run
        self._writer = writer
        self._stream = stream
        self._newest = Newest(run.folder.path)
        self._line = ""
        self._last = ""
        self._counts: Counter[Outcome] = Counter()
        self._began = time.monotonic()
        self._live: Live | None = None

    def start(self) -> None:
        """Show the line, and print above it from now on."""
        from rich.console import Console  # noqa: PLC0415 - 80 ms, only on a terminal
        from rich.file_proxy import FileProxy  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        console = Console(file=self._stream, force_terminal=True, no_color=not self._writer.hasmarkup)
        self._live = Live(
            console=console,
            get_renderable=self._text,
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        self._writer._file = FileProxy(console, self._stream)  # noqa: SLF001

    def finished(self, result: CheckResult) -> None:
        """Count a finished check."""
        self._counts[result.outcome] += 1
        self._last = result.id

    def stop(self) -> None:
        """Clear the line, and print as before."""
        if self._live is not None:
            self._writer.flush()
            self._writer._file = self._stream  # noqa: SLF001
            self._live.stop()
        self._newest.remove()

    def _text(self) -> Text:
        from rich.text import Text  # noqa: PLC0415 - 80 ms, only on a terminal

        self._line = self._newest.line() or self._line
        seconds = time.monotonic() - self._began
        parts = [
            say(
                "{done} of {planned} checks",
                done=sum(self._counts.values()),
                planned=sum(
                    not (check.not_applicable or check.cannot_run or check.attests) for check in self._run.plan.checks
                ),
            )
        ]
        if failed := self._counts[Outcome.FAIL]:
            parts.append(say("{count} failed", count=failed))
        if held := self._counts[Outcome.INCONCLUSIVE]:
            parts.append(say("{count} not measured", count=held))
        parts.append(say("{minutes:.0f}:{seconds:02.0f}", minutes=seconds // 60, seconds=seconds % 60))
        text = join("  ", [self._run.stage.name, *parts, self._line or self._last])
        # The parts of a window (criteria, traffic, alerts) get a line each below the first.
        shown = text.text(self._run.target.language).replace(" | ", "\n  ")
        return Text(shown, no_wrap=True, overflow="ellipsis", style="bold")
