"""Commands: run an argv list in its own process group, with a deadline, and keep its output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from opsverify.language.plain import without_colours
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


MOST_OUTPUT = 1_000_000
"""Bytes of a command's output that are kept: its end, where errors are."""
_GRACE_S = 5.0


@dataclass(frozen=True)
class Ran:
    """Result of a command; `trouble` is the reason why it has no exit code of its own.

    `errors` is its standard error where that was kept apart; else it stands in `output`.
    """

    exit_code: int | None
    duration_s: float
    output: str
    trouble: str | None = None
    errors: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended with exit code 0."""
        return self.exit_code == 0

    @property
    def text(self) -> str:
        """The reason of a failure, in a few words."""
        return self.trouble or f"exit code {self.exit_code}"


def run_command(
    argv: Sequence[str],
    timeout_s: float,
    folder: str | None,
    env: Mapping[str, str] | None = None,
    *,
    errors_apart: bool = False,
) -> Ran:
    """Run `argv` in `folder` (None: the working directory) and `env` (None: inherited); raises for no failure of it.

    On the deadline, or when this process is interrupted, its whole process group is ended.
    """
    began = time.monotonic()
    # A file, not a pipe: a process that outlives the command may hold the output open for ever.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        streams = (output, errors if errors_apart else output)
        exit_code, trouble = _run(argv, timeout_s, folder, streams, env)
        return Ran(exit_code, time.monotonic() - began, _end_of(output), trouble, _end_of(errors))


def _end_of(stream: IO[bytes]) -> str:
    stream.seek(max(0, stream.seek(0, os.SEEK_END) - MOST_OUTPUT))
    return without_colours(stream.read().decode("utf-8", "replace"))


def _run(
    argv: Sequence[str],
    timeout_s: float,
    folder: str | None,
    streams: tuple[IO[bytes], IO[bytes]],
    env: Mapping[str, str] | None,
) -> tuple[int | None, str | None]:
    try:
        process = subprocess.Popen(
            argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=streams[0], stderr=streams[1],
            start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        return None, f"could not be started ({getattr(error, 'strerror', None) or error})"
    try:
        return process.wait(timeout_s), None
    except subprocess.TimeoutExpired:
        return None, f"timed out after {duration(timeout_s)}"
    except KeyboardInterrupt:
        return None, "interrupted"
    finally:
        if process.returncode is None:
            end_group(process, _GRACE_S)


def end_group(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """End the process group that `process` leads: SIGTERM, and SIGKILL after `grace_s` seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
            return
