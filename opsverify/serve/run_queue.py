"""Queue of runs: starts `opsverify verify` for queued runs, one at a time for a stage and target, and ends them."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.commands import end_group
from opsverify.config.named_variables import variables_in
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import TargetError
from opsverify.language.message import Message, say
from opsverify.serve import child
from opsverify.serve.conclusion import conclude
from opsverify.serve.gate_run import Conclusion, GateRun, RunState
from opsverify.serve.run_process import RUN_VARIABLE, RunProcess, mark_of
from opsverify.serve.target_names import TargetNames
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from opsverify.serve.event_sender import EventSender
    from opsverify.serve.gate_run import RunRequest
    from opsverify.serve.store import RunStore

LOG: Final = logging.getLogger("opsverify.serve")


def verify_command(request: RunRequest, folder: Path) -> list[str]:
    """The command that runs a stage, as a person would type it."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in request.options]
    if request.release:
        options.append("--release=" + ",".join(f"{name}={value}" for name, value in request.release.parts.items()))
    target = f"--target={request.target}"
    python = [sys.executable, "-P", "-m", "opsverify"]
    return [*python, "verify", request.stage, target, f"--report-dir={folder}", "--color=no", *options]


@dataclass(frozen=True)
class QueueSettings:
    """How runs are started: in which project, how many at once, for how long at most, and by which command."""

    root: Path
    most_at_once: int = 2
    longest_s: float = 6 * 3600.0
    grace_s: float = 20.0
    """How long a stage may take to write its verdict down after SIGTERM."""
    retry_s: float = 5.0
    """How soon an end that could not be recorded is recorded again, and what could not be started is started."""
    command: Callable[[RunRequest, Path], Sequence[str]] = verify_command
    conclude: Callable[[Path, int, RunRequest, Path], Conclusion] = conclude

    def folder_of(self, run_id: str) -> Path:
        """Where the evidence of a run goes."""
        return self.root / "reports" / f"gate-{run_id}"

    @property
    def state(self) -> Path:
        """Where the server keeps its own files."""
        return self.root / "reports" / ".serve"


@dataclass
class _Active:
    """A run that is under way: its process once there is one, and why it is to be ended."""

    run: GateRun
    process: subprocess.Popen[bytes] | None = None
    ended_because: Message | None = None
    thread: threading.Thread | None = field(default=None, repr=False)


class RunQueue:
    """Runs that wait and runs that are under way."""

    def __init__(self, store: RunStore, settings: QueueSettings, events: EventSender) -> None:
        self._store, self._settings, self._events = store, settings, events
        self.names = TargetNames(settings.root / "targets")
        self._lock = threading.RLock()
        self._active: dict[str, _Active] = {}
        self._stopping = threading.Event()
        self._later: threading.Timer | None = None

    @property
    def stopping(self) -> bool:
        """Whether no run is started any more."""
        return self._stopping.is_set()

    def recover(self) -> None:
        """Make a hold of every run that an earlier server left under way, after the end of its processes.

        Nothing is run again. Raises TargetError where a process goes on: a run beside it would measure both.
        """
        under_way = self._store.in_state(RunState.RUNNING)
        for run in under_way:
            process = self._store.process_of(run.id)
            if process is not None and not process.end(self._settings.grace_s):
                raise TargetError(
                    say("serve: run {id} of an earlier server goes on as process group {pid}, which could not be "
                        "ended; end it and start the server again", id=run.id, pid=process.pid)
                )  # fmt: skip
        for run in under_way:
            reason = say("the server ended while the run was under way; look at {folder}, then run the stage again",
                         folder=self._settings.folder_of(run.id))  # fmt: skip
            self._finish(run, Conclusion.hold(reason))
            LOG.warning("run %s: was under way when the server ended, hold", run.id)

    def kick(self) -> None:
        """Start whatever may start now; what a fault keeps from it is tried again."""
        try:
            with self._lock:
                if not self._stopping.is_set():
                    self._hold_lost()
                    self._start()
        except Exception:  # a full disk, a broken token file, no room for a thread: what asked has been kept
            LOG.exception("queue: what waits could not be started; tried again")
            self._kick_later()

    def _hold_lost(self) -> None:
        """Make a hold of a run that was begun and then could not be carried out, which nothing else would ever end."""
        for run in self._store.in_state(RunState.RUNNING):
            if run.id not in self._active:
                self._finish(run, Conclusion.hold(say("the run was begun and has no process; run the stage again")))

    def _start(self) -> None:
        for run in self._store.in_state(RunState.QUEUED):
            if len(self._active) >= self._settings.most_at_once:
                return
            busy = {(each.run.request.stage, each.run.request.target) for each in self._active.values()}
            if (run.request.stage, run.request.target) in busy:
                continue
            if not self._store.begin(run.id, dt.datetime.now(dt.UTC)):
                continue
            active = self._active[run.id] = _Active(run)
            active.thread = threading.Thread(target=self._carry_out, args=(active,), name=f"run {run.id}")
            try:
                active.thread.start()
            except RuntimeError:  # no room for a thread
                del self._active[run.id]
                raise

    def _kick_later(self) -> None:
        with self._lock:
            if self._later is None and not self._stopping.is_set():
                self._later = threading.Timer(self._settings.retry_s, self._kick_again)
                self._later.daemon = True
                self._later.start()

    def _kick_again(self) -> None:
        with self._lock:
            self._later = None
        self.kick()

    def end(self, run_id: str, because: Message) -> bool:
        """End a run that waits or is under way; it is a hold, whatever it found. False where it has ended already.

        Under the lock that a run's own end is recorded under: after True no other end can be.
        """
        with self._lock:
            active = self._active.get(run_id)
            if active is not None:
                self._end_active(active, because)
                return True
            found = self._store.get(run_id)
            if found is None or found.state is RunState.FINISHED:
                return False
            self._finish(found, Conclusion.hold(because))
            return True

    def _end_active(self, active: _Active, because: Message) -> None:
        with self._lock:
            if active.ended_because is None:
                active.ended_because = because
            if active.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    active.process.terminate()

    def stop(self, longest_s: float = 30.0) -> None:
        """Start nothing more, end what is under way, and wait for it."""
        with self._lock:
            self._stopping.set()
            if self._later is not None:
                self._later.cancel()
            under_way = list(self._active.values())
        for active in under_way:
            self.end(active.run.id, say("the server was stopped while the run was under way; run the stage again"))
        until = time.monotonic() + longest_s
        for active in under_way:
            if active.thread is not None:
                active.thread.join(max(0.0, until - time.monotonic()))

    def _finish(self, run: GateRun, conclusion: Conclusion) -> None:
        is_event = self._events.wants(run.request.stage)
        self._store.finish(run.id, conclusion, dt.datetime.now(dt.UTC), is_event=is_event)
        self._events.wake()

    def _carry_out(self, active: _Active) -> None:
        run = active.run
        try:
            conclusion = self._concluded(active)
        except BaseException as error:
            LOG.exception("run %s: could not be carried out", run.id)
            conclusion = Conclusion.hold(say("the run could not be carried out ({error})", error=error))
        is_last = False
        while not self._is_recorded(active, conclusion) and not is_last:
            is_last = self._stopping.wait(self._settings.retry_s)
        self.kick()

    def _is_recorded(self, active: _Active, conclusion: Conclusion) -> bool:
        """Whether the end of a run could be recorded: in one step, so that nobody ends it between two of them."""
        run = active.run
        with self._lock:
            if active.ended_because is not None:
                conclusion = Conclusion.hold(active.ended_because, conclusion.exit_code)
            try:
                self._finish(run, conclusion)
            except Exception as error:  # noqa: BLE001 - a full disk, a broken token file: the run must not stay open
                LOG.error("run %s: its end could not be recorded (%s); a hold at the latest at the next start",  # noqa: TRY400 - repeated
                          run.id, error)  # fmt: skip
                return False
            del self._active[run.id]
        LOG.info("run %s: %s on %s: %s", run.id, run.request.stage, run.request.target, conclusion.decision)
        return True

    def _concluded(self, active: _Active) -> Conclusion:
        """Run the command, and read what it decided."""
        settings, run = self._settings, active.run
        if shared := self.names.shared(run.request.target):  # by a file that came while the run waited
            return Conclusion.hold(shared)
        folder = settings.folder_of(run.id)
        log = settings.state / "output" / f"{run.id}.log"
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        began = [sys.executable, "-I", "-S", child.__file__, str(os.getpid())]
        # The receiver's secrets are the server's, unless a target needs the same ones.
        own = self._events.variables
        hidden = own - variables_in(settings.root / "targets") if own else own
        inherited = {name: value for name, value in os.environ.items() if name not in hidden}
        environment = {**inherited, RUN_VARIABLE: run.id, "OPSVERIFY_SERVE_BY": run.started_by}
        with log.open("wb") as output:
            log.chmod(0o600)
            process = subprocess.Popen(
                [*began, *settings.command(run.request, folder)], cwd=settings.root, env=environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            if mark := mark_of(process.pid):
                self._store.started(RunProcess(run.id, process.pid, mark))
            with self._lock:
                active.process = process
                if active.ended_because is not None:
                    process.terminate()
            code = self._await_end(active, process)
        except BaseException:  # it may not go on beside the next run
            end_group(process, settings.grace_s)
            raise
        if active.ended_because is not None:
            return Conclusion.hold(active.ended_because, code)
        if code < 0 or code == ExitCode.USAGE:
            return Conclusion.hold(say("opsverify verify ended with {code}; see {log}", code=code, log=log), code)
        return settings.conclude(folder, code, run.request, settings.root)

    def _await_end(self, active: _Active, process: subprocess.Popen[bytes]) -> int:
        """The exit code; a process that goes on too long, or after it was told to end, is killed."""
        longest = self._settings.longest_s
        until = time.monotonic() + longest
        while active.ended_because is None:
            try:
                return process.wait(_STEP_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() >= until:
                    self._end_active(active, say("went on for {longest} (--longest)", longest=elapsed(longest)))
        end_group(process, self._settings.grace_s)
        return process.wait(self._settings.grace_s)


_STEP_S: Final = 0.2
