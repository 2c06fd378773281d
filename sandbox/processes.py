"""Processes that outlive the command that started them, and that are stopped by proof of identity.

A process is known by its pid and its start time, so that a pid used again by a stranger is never signalled. The table
that keeps processes keeps containers as well.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import psutil

from opsverify.language.message import say
from sandbox.errors import SandboxError
from sandbox.home import locked, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path
    from types import FrameType

    from opsverify.language.message import Message
    from sandbox.started import Started

_POLL_S = 0.03
_KILLED_DEADLINE_S = 60.0
"""How long what was killed may take to be gone: a busy machine has to run it once more for that."""


@dataclass(frozen=True, slots=True)
class Running:
    """One started process; `started` is an opaque mark of its start time."""

    pid: int
    started: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; a child of ours does until it is reaped."""
        child = _CHILDREN.get(self)
        # Its first thread may have ended, which looks like a zombie, while others have not.
        return start_mark(self.pid) == self.started if child is None else child.poll() is None

    @property
    def mark(self) -> str:
        """Its pid."""
        return str(self.pid)

    @property
    def place(self) -> Message:
        """Its pid, in words."""
        return say("pid {pid}", pid=self.pid)

    def send(self, number: signal.Signals) -> None:
        """Signal the process's whole group, if it is still this process."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def remove(self) -> None:
        """Do nothing: the kernel keeps nothing of a process."""

    def to_dict(self) -> dict[str, object]:
        """Its entry in the table."""
        return asdict(self)


_CHILDREN: dict[Running, subprocess.Popen[bytes]] = {}
"""Children of this very process: they must be reaped, or they stay as zombies."""


def start_mark(pid: int) -> str | None:
    """When process `pid` was started, as an opaque mark; None if there is none, or only its zombie.

    Counted from the start of the machine: unlike a time of day it stays the same when the clock is set.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        return f"{process.create_time() - psutil.boot_time():.2f}"
    except psutil.NoSuchProcess:
        return None


class Table:
    """`state.json`: the processes and containers of one home by name, kept across commands."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / "state.json"

    def all(self) -> dict[str, Started]:
        """Everything recorded, also what has ended."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {name: _recorded(entry) for name, entry in content["processes"].items()}

    def alive(self, name: str) -> Started | None:
        """Return the process or container `name` if it runs."""
        entry = self.all().get(name)
        return entry if entry is not None and entry.alive else None

    def start(
        self,
        name: str,
        argv: list[str],
        *,
        log: Path,
        user: tuple[int, int] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Running:
        """Start a process in a session of its own, writing to `log`; `user` is the uid and gid to run as.

        A signal that arrives meanwhile takes effect once the process is recorded: none is ever lost track of.
        """
        with signals_deferred(), log.open("ab") as output:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=None if env is None else dict(env),
                cwd=cwd,
                user=user[0] if user else None,
                group=user[1] if user else None,
                extra_groups=[] if user else None,
            )
            running = Running(child.pid, start_mark(child.pid) or "gone")
            _CHILDREN[running] = child
            self.record(name, running)
        return running

    def record(self, name: str, started: Started) -> None:
        """Keep what was started under `name`."""
        self._change(lambda entries: entries | {name: started})

    def stop(
        self,
        names: Collection[str],
        *,
        deadline_s: float,
        signals: Mapping[str, signal.Signals] | None = None,
    ) -> None:
        """Stop what has these names, together: SIGTERM (or the one in `signals`), SIGKILL after `deadline_s`."""
        entries = {name: entry for name, entry in self.all().items() if name in names}
        for name, entry in entries.items():
            entry.send((signals or {}).get(name, signal.SIGTERM))
        with suppress(SandboxError):
            wait_until(lambda: not any(entry.alive for entry in entries.values()), deadline_s, say("processes to stop"))
        for entry in entries.values():
            entry.send(signal.SIGKILL)
        wait_until(
            lambda: not any(entry.alive for entry in entries.values()),
            _KILLED_DEADLINE_S, say("killed processes to end"),
        )  # fmt: skip
        for entry in entries.values():
            entry.remove()
        self._change(lambda known: {name: entry for name, entry in known.items() if name not in entries})

    def _change(self, change: Callable[[dict[str, Started]], dict[str, Started]]) -> None:
        with locked(self._home, "state"):
            entries = change(self.all())
            content = {"processes": {name: entry.to_dict() for name, entry in entries.items()}}
            write_atomic(self._path, json.dumps(content, indent=2) + "\n", mode=0o644)


def _recorded(entry: dict[str, Any]) -> Started:
    if "container" in entry:
        from sandbox.running_container import RunningContainer  # noqa: PLC0415 - few sandboxes have containers

        return RunningContainer(**entry)
    return Running(**entry)


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Let SIGINT and SIGTERM take effect only after the block; does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        arrived.append(number)

    before = {int(number): signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in arrived:
            signal.raise_signal(number)


def wait_until(ready: Callable[[], bool], deadline_s: float, what: str, stop: Callable[[], str] = str) -> None:
    """Poll `ready` until it is true; SandboxError after `deadline_s`, or as soon as `stop` returns a reason."""
    end = time.monotonic() + deadline_s
    while not ready():
        reason = stop()
        if reason:
            raise SandboxError(say("{what}: {reason}", what=what, reason=reason))
        if time.monotonic() > end:
            raise SandboxError(
                say(
                    "timed out after {deadline_s:.0f} s: {what}; see the logs folder of the sandbox",
                    deadline_s=deadline_s,
                    what=what,
                )
            )
        time.sleep(_POLL_S)


def died(name: str, running: Started, log: Path) -> str:
    """Why to stop waiting for a component: it ended, with the last line it wrote; '' while it runs."""
    if running.alive:
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return say(
        "{name} ended right after its start: {reason} (see {log})",
        name=name,
        reason=lines[-1] if lines else say("no output"),
        log=log,
    )
