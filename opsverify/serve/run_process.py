"""Process of a run: how a later server knows it and its group again, and ends them before anything else starts."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opsverify.probes.eventually import eventually

RUN_VARIABLE: Final = "OPSVERIFY_SERVE_RUN"
"""Names the run in the environment of its process, and so of all that this one starts."""
_PROC: Final = Path("/proc")
_STATE, _GROUP, _STARTED = 0, 2, 19
"""Fields of /proc/PID/stat after the command's name, which may hold anything."""
_LOOK_EVERY_S: Final = 0.05


@dataclass(frozen=True)
class RunProcess:
    """The process that leads a run's group, as it was recorded when it was started."""

    run_id: str
    pid: int
    mark: str

    def end(self, grace_s: float) -> bool:
        """End the group: SIGTERM, and SIGKILL after `grace_s` seconds; whether all of it has ended."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.has_ended():
                return True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
            eventually(self.has_ended, bool, deadline_s=grace_s, every_s=_LOOK_EVERY_S, what="the end of a group")
        return self.has_ended()

    def has_ended(self) -> bool:
        """Whether neither the process itself nor another one of its group is left."""
        return mark_of(self.pid) != self.mark and not any(self._is_member(path) for path in _PROC.glob("[0-9]*"))

    def _is_member(self, process: Path) -> bool:
        """Whether it is of the group and of this run: once all of it has ended, the number may be a stranger's."""
        fields = _fields(process)
        if fields is None or int(fields[_GROUP]) != self.pid:
            return False
        try:
            return f"{RUN_VARIABLE}={self.run_id}".encode() in (process / "environ").read_bytes().split(b"\0")
        except OSError:
            return False


def mark_of(pid: int) -> str | None:
    """When process `pid` was started, as an opaque mark; None where it has ended, is a zombie, or there is no /proc.

    Numbers of processes are given again: a number alone could be a stranger's. Ticks since the machine's own start are
    not moved by its clock, and say nothing after the next one. (The sandbox has psutil for this, production has not.)
    """
    fields = _fields(_PROC / str(pid))
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return f"{boot}/{int(fields[_STARTED])}" if fields else None


def _fields(process: Path) -> list[bytes] | None:
    try:
        fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[_STATE] in (b"Z", b"X") else fields
