"""Journal of one action: begun only once, and rewritten before and after every step."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsverify.errors import Refused
from opsverify.evidence.files import write_atomic
from opsverify.evidence.manifest import write_manifest
from opsverify.evidence.run_folder import timestamp
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opsverify.commands import Ran
    from opsverify.config.actions import ActionStep
    from opsverify.evidence.redact import Redactor

ACTIONS = "actions.json"
LOCK = "begun.json"
SCHEMA = "opsverify.actions/1"


@dataclass
class Journal:
    """The steps and their results, as they are run, in `folder/actions.json`."""

    folder: Path
    redactor: Redactor
    content: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begin(cls, folder: Path, head: dict[str, Any], redactor: Redactor) -> Journal:
        """Begin the one journal that `folder` may hold. Raises Refused where one was begun before."""
        started = timestamp(dt.datetime.now(dt.UTC))
        who = {"user": _user(), "host": socket.gethostname(), "pid": os.getpid(), "started_at": started}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / LOCK, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            raise Refused(
                say(
                    "{folder}: steps were begun before and are not run twice; see {actions}, run its `left` "
                    "by hand, or verify again",
                    folder=folder,
                    actions=ACTIONS,
                )
            ) from None
        except OSError as error:
            raise Refused(
                say(
                    "{folder}: cannot be written ({strerror}); nothing was done", folder=folder, strerror=error.strerror
                )
            ) from error
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(who) + "\n")
            file.flush()
            os.fsync(file.fileno())
        journal = cls(folder, redactor, {"schema": SCHEMA, **head, "by": who, "started_at": started})
        journal.content |= {"outcome": "running", "actions": [], "left": []}
        journal.write()
        return journal

    def plan(self, steps: Sequence[ActionStep], argvs: Sequence[Sequence[str]]) -> None:
        """Record all steps before the first one."""
        self.content["actions"] = [
            {
                "step": " ".join(argv),
                "argv": list(argv),
                "runbook": step.runbook,
                "executed": False,
                "timeout_s": step.timeout_s,
            }
            for step, argv in zip(steps, argvs, strict=True)
        ]
        self.write()

    def step_begins(self, number: int) -> None:
        """Record that a step begins: so that it is known after a crash."""
        self.content["actions"][number]["started_at"] = timestamp(dt.datetime.now(dt.UTC))
        self.write()

    def step_ended(self, number: int, ran: Ran) -> None:
        """Record the result of a step, and keep its output."""
        entry = self.content["actions"][number]
        log = f"{number + 1:02d}-output.txt"
        write_atomic(self.folder / log, self.redactor.text(ran.output))
        entry |= {
            "executed": ran.exit_code is not None,
            "exit_code": ran.exit_code,
            "finished_at": timestamp(dt.datetime.now(dt.UTC)),
            "duration_s": round(ran.duration_s, 3),
            "output": log,
        }
        if ran.trouble:
            entry["trouble"] = ran.trouble
        self.write()

    def close(self, outcome: str, exit_code: int, left: Sequence[str] = ()) -> None:
        """Write the end: `done`, `failed`, `rejected` or `held`; and the manifest over everything."""
        self.content |= {
            "outcome": outcome,
            "exit_code": exit_code,
            "left": list(left),
            "finished_at": timestamp(dt.datetime.now(dt.UTC)),
        }
        self.write()
        write_manifest(self.folder)

    def note(self, **facts: object) -> None:
        """Add facts."""
        self.content |= facts
        self.write()

    def write(self) -> None:
        """Write the journal. Raises EvidenceError when that fails."""
        text = json.dumps(self.redactor.data(self.content), ensure_ascii=False, indent=2)
        write_atomic(self.folder / ACTIONS, text + "\n")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return str(os.getuid())
