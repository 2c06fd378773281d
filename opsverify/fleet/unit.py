"""Unit of a fleet: one `opsverify verify` process with its own folder, begun once and never repeated.

The function that a worker of Dask, a pod of an Indexed Job and a job of a CI matrix all come to. It imports nothing of
Dask.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from opsverify.commands import end_group
from opsverify.config.project import project_root
from opsverify.core.exit_codes import DECIDED
from opsverify.errors import Refused
from opsverify.evidence.bound import project_digests
from opsverify.evidence.files import sha256_of
from opsverify.language.message import Message, as_message, say
from opsverify.serve import child
from opsverify.units import duration

if TYPE_CHECKING:
    from opsverify.fleet.plan import FleetPlan, FleetUnit

UNITS: Final = "units"
"""The folder of the units' evidence, in the fleet's."""
_GRACE_S: Final = 30.0
_MOST_OUTPUT: Final = 4000
_RUNNING: Final[set[subprocess.Popen[bytes]]] = set()
_ENDED: Final = threading.Event()
"""No further unit begins in this process."""
_LOCK: Final = threading.Lock()


@dataclass(frozen=True)
class UnitOrder:
    """What a worker needs to run one unit: the plan without its other units."""

    fleet: str
    plan_sha256: str
    stage: str
    opsverify: str
    runbook: str
    suites: str
    options: tuple[str, ...]
    unit: FleetUnit

    @classmethod
    def of(cls, plan: FleetPlan, number: int) -> UnitOrder:
        """The order for the unit `number`. Raises TargetError where there is none."""
        return cls(
            plan.fleet, plan.sha256, plan.stage_name, plan.opsverify, plan.runbook, plan.suites, plan.options,
            plan.unit(number),
        )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the unit's process; its evidence (`origin.json`) keeps what is ours."""
        return {
            **os.environ,
            "OPSVERIFY_FLEET": self.fleet,
            "OPSVERIFY_FLEET_PLAN": self.plan_sha256,
            "OPSVERIFY_FLEET_UNIT": str(self.unit.unit),
        }

    def begin(self, folder: Path) -> list[str]:
        """Make the unit's folder, once; the argv of its process, which a person could type.

        Raises Refused where it was made before, and where target or project are not those of the plan.
        """
        target = project_root() / self.unit.file
        self._require_planned(target)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise Refused(
                say("{target}: begun before, in {folder}; a unit is never repeated", target=self.unit.target,
                    folder=folder)
            ) from None  # fmt: skip
        except OSError as error:
            raise Refused(say("{path}: cannot be made ({error})", path=folder, error=error.strerror)) from error
        python = [sys.executable, "-P", "-m", "opsverify"]
        return [*python, "verify", self.stage, f"--target={target}", f"--report-dir={folder}", "--color=no",
                *self.options]  # fmt: skip

    def _require_planned(self, target: Path) -> None:
        try:
            found = sha256_of(target)
        except OSError as error:
            raise Refused(
                say("{path}: cannot be read ({error}); start the unit in its project", path=target,
                    error=error.strerror)
            ) from error  # fmt: skip
        digests = project_digests(project_root(str(target)))
        wanted = {"target": self.unit.file_sha256, "opsverify": self.opsverify, "runbook": self.runbook,
                  "suites": self.suites}  # fmt: skip
        present = {"target": found, "opsverify": version("opsverify"), **digests}
        if changed := [name for name, value in wanted.items() if present[name] != value]:
            raise Refused(
                say("{target}: not what was planned: {changed}; plan the fleet anew", target=self.unit.target,
                    changed=", ".join(changed))
            )  # fmt: skip


@dataclass(frozen=True)
class UnitEnd:
    """How the process of a unit ended. It decides nothing: that is the business of the sealed verdict."""

    target: str
    exit_code: int | None
    trouble: Message | None = None

    @property
    def text(self) -> Message:
        """How it ended, in a few words."""
        how = say("exit {code}", code=self.exit_code) if self.exit_code is not None else say("no exit code")
        return say("{how} ({trouble})", how=how, trouble=self.trouble) if self.trouble else how


def run_unit(order: UnitOrder, units: str, timeout_s: float) -> UnitEnd:
    """Run one unit below the folder `units` and wait for its end; raises for no failure of it."""
    if _ENDED.is_set():
        return UnitEnd(order.unit.target, None, say("not begun: interrupted"))
    try:
        argv = order.begin(Path(units) / order.unit.target)
    except Refused as refused:
        return UnitEnd(order.unit.target, None, as_message(str(refused)))
    # Told to stop when this process ends, however: no unit outlives the one that started it.
    guarded = [sys.executable, "-I", "-S", child.__file__, str(os.getpid()), *argv]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            guarded, env=order.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        with _LOCK:
            _RUNNING.add(process)
            if _ENDED.is_set():
                process.terminate()
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            end_group(process, _GRACE_S)
            return UnitEnd(
                order.unit.target, process.returncode, say("ended after {limit}", limit=duration(timeout_s))
            )  # fmt: skip
        finally:
            with _LOCK:
                _RUNNING.discard(process)
        if code in DECIDED:
            return UnitEnd(order.unit.target, code)
        output.seek(max(0, output.seek(0, os.SEEK_END) - _MOST_OUTPUT))
        lines = output.read().decode("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        return UnitEnd(order.unit.target, code, as_message(last))


def become_unit(order: UnitOrder, folder: Path) -> NoReturn:
    """Replace this process by that of the unit: its signals, output and exit code are the unit's own."""
    argv = order.begin(folder)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(argv[0], argv, order.environment)  # noqa: S606 - argv of the plan


def begin_units() -> None:
    """Let units begin in this process."""
    _ENDED.clear()


def end_units() -> None:
    """Tell every unit that runs in this process to stop, as Ctrl-C does: each writes its verdict, a hold."""
    with _LOCK:
        _ENDED.set()
        for process in _RUNNING:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
