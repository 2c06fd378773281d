"""Process of a stage run: a child of the command line, whose exit code comes from the verdict that it leaves.

Whatever ends the child (a crash, `os._exit`, `os.execv`, a signal, a memory limit) ends it without a verdict, and
without a verdict the code is never that of a decision. Ctrl-C and SIGTERM are handed on to the child once; a child
whose parent is killed is told to stop.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import signal
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from opsverify.core.exit_codes import ExitCode
from opsverify.errors import EvidenceError
from opsverify.evidence.run_folder import REFUSED, VERDICT
from opsverify.language.message import say
from opsverify.language.tell import complain
from opsverify.pytest_plugin import garbage
from opsverify.pytest_plugin.launch import Launch
from opsverify.pytest_plugin.stop_signal import SAME_S, StopSignal, handle_stops
from opsverify.pytest_plugin.streams import end_output, tolerant_output
from opsverify.pytest_plugin.verdict_file import exit_code_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.evidence.run_folder import RunFolder

_PARENT_DEATH_SIGNAL: Final = 1
_EXPLAINED: Final = frozenset({ExitCode.INTERNAL_ERROR, ExitCode.USAGE, ExitCode.NOTHING_COLLECTED})
"""Codes of a child that has printed why there is no verdict."""
_LONGEST_ANNOUNCEMENT: Final = 65536


class _Parent:
    """Waits for the child, and hands signals on."""

    def __init__(self) -> None:
        self.child = 0
        self.requested: list[int] = []
        self._at = 0.0

    def __call__(self, number: int, _frame: object) -> None:
        """Hand the signal on; a second request, later, ends a child that does not stop."""
        now = time.monotonic()
        again = bool(self.requested) and now - self._at > SAME_S
        self._at = self._at if self.requested else now
        self.requested.append(number)
        if self.child:
            self._send(signal.SIGKILL if again else number)

    def await_end(self) -> int:
        """The child's exit code; the negative number of the signal that ended it."""
        if self.requested:  # between the fork and now
            self._send(self.requested[0])
        try:
            _, status = os.waitpid(self.child, 0)
        except ChildProcessError:  # started by a program that ignores SIGCHLD: only the verdict is left to go by
            return ExitCode.HOLD
        finally:
            self.child = 0
        return os.waitstatus_to_exitcode(status)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, number)


def run_stage(arguments: Sequence[str], root: Path, settings: Path, language: str = "en") -> int:
    """Run pytest with `arguments` in a child; the exit code of the verdict, which is that of a decision or a hold.

    This process ends with it: signals that would stop a run stay handled, since one that comes when there is a verdict,
    or none, changes neither.
    """
    told, tell = os.pipe()
    parent, this = _Parent(), os.getpid()
    handle_stops(parent)
    try:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        parent.child = os.fork()
        if parent.child == 0:
            os.close(told)
            _be_child(arguments, Launch(root, settings, language, partial(_announce, tell)), this)
        os.close(tell)
        code = parent.await_end()
        announced = _announced(told)
    finally:
        os.close(told)
    return _conclude(code, announced, interrupted=bool(parent.requested), language=language)


def _conclude(code: int, announced: tuple[str, Path] | None, *, interrupted: bool, language: str) -> int:
    """The exit code: the verdict's, else never one of a decision."""
    why: str = say("it began no run")
    if announced is not None:
        try:
            return exit_code_in(announced[1], announced[0])
        except EvidenceError as error:
            why = say("{path}: {error}", path=announced[1], error=error)
            _set_aside(announced[1])
    if interrupted or code == ExitCode.INTERRUPTED:
        return ExitCode.INTERRUPTED
    if code in _EXPLAINED:
        return code
    ended = say("exit code {code}", code=code) if code >= 0 else signal.Signals(-code).name
    verdict = ExitCode.INTERNAL_ERROR if code < 0 else ExitCode.HOLD
    complain(
        say(
            "no verdict, hold (exit {code}): the run ended with {ended}; {why}", code=int(verdict), ended=ended, why=why
        ),
        language,
    )
    return verdict


def _set_aside(folder: Path) -> None:
    """Leave no `verdict.json` that is none: a later command would have to find that out again."""
    with contextlib.suppress(OSError):
        (folder / VERDICT).rename(folder / REFUSED)


def _announce(tell: int, folder: RunFolder) -> None:
    """Tell the parent, before the first check runs, which run this is."""
    os.write(tell, json.dumps([folder.run_id, str(folder.path.absolute())]).encode() + b"\n")


def _announced(told: int) -> tuple[str, Path] | None:
    """What the child told first; a descendant of it may still hold the pipe open."""
    os.set_blocking(told, False)
    try:
        run_id, folder = json.loads(os.read(told, _LONGEST_ANNOUNCEMENT).partition(b"\n")[0])
    except (BlockingIOError, ValueError):
        return None
    return run_id, Path(folder)


def _be_child(arguments: Sequence[str], launch: Launch, parent: int) -> NoReturn:
    """Run pytest, and end this process without returning to whoever called `run_stage`."""
    code: int = ExitCode.INTERNAL_ERROR
    try:
        _die_with(parent)
        garbage.rest()
        handle_stops(StopSignal())
        # Only the plugins named in `arguments`: others must neither slow a gate down nor change its selection.
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        os.chdir(launch.root)  # pytest finds no conftest.py from elsewhere; every path was made absolute before
        with tolerant_output():
            try:
                code = _pytest(arguments, launch)
            except BaseException:  # noqa: BLE001 - nothing may return from here
                traceback.print_exc()
            end_output()
            atexit._run_exitfuncs()  # noqa: SLF001 - what a normal end of Python would do
    finally:
        os._exit(code)


def _pytest(arguments: Sequence[str], launch: Launch) -> int:
    try:
        import pytest  # noqa: PLC0415 - the parent needs none of it

        return int(pytest.main(list(arguments), plugins=[launch]))
    except KeyboardInterrupt:  # before the run had begun
        return ExitCode.INTERRUPTED


def _die_with(parent: int) -> None:
    """Stop as on SIGTERM when the parent ends, also by SIGKILL."""
    with contextlib.suppress(OSError, AttributeError):  # other systems than Linux
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
