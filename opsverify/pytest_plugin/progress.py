"""Progress of a long run: written by any of its processes, shown by the one that has the terminal."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from pathlib import Path

NAME = ".progress"
PLAIN_EVERY_S = 30.0
_POLL_S = 0.5


def report_progress(folder: Path, text: str) -> None:
    """Write a line of progress; any process of the run may."""
    with (folder / NAME).open("a", encoding="utf-8") as file:
        file.write(text.replace("\n", " ") + "\n")


class Display:
    """Shows the newest line: in place on a terminal (cut to its width), as a plain line every 30 seconds elsewhere."""

    def __init__(self, folder: Path, stream: TextIO) -> None:
        self._file = folder / NAME
        self._stream = stream
        self._live = stream.isatty()
        self._width = shutil.get_terminal_size((100, 24)).columns - 1
        self._read = 0
        self._shown_at = float("-inf")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="opsverify-progress", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Stop polling, clear the line and remove the file."""
        self._ended.set()
        self._thread.join()
        if self._live and self._read:
            self._stream.write("\r" + " " * self._width + "\r")
        self._file.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._ended.wait(_POLL_S):
            line = self._newest()
            if line and self._live:
                self._stream.write("\r" + line[: self._width].ljust(self._width))
                self._stream.flush()
            elif line and time.monotonic() - self._shown_at >= PLAIN_EVERY_S:
                self._shown_at = time.monotonic()
                self._stream.write(f"....  {line}\n")
                self._stream.flush()

    def _newest(self) -> str:
        try:
            with self._file.open(encoding="utf-8") as file:
                file.seek(self._read)
                lines = file.read().splitlines()
                self._read = file.tell()
        except OSError:  # no progress has been written yet
            return ""
        return lines[-1] if lines else ""
