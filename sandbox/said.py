"""Texts of errors and lines, as the sandbox shows them to its reader."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from opsverify.language.message import as_message, say
from opsverify.language.tell import tell
from sandbox.errors import HomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from opsverify.language.message import Message
    from sandbox.errors import HomeProblem, SandboxError
    from sandbox.recovery import Backup, Restored

HOME: Mapping[HomeProblem, Callable[[Mapping[str, object]], Message]] = {
    "absent": lambda of: say("no sandbox in {home}: run 'sandbox up' first", home=of["home"]),
    "unset": lambda of: say(
        "no sandbox in {home}: {file} is missing; run 'sandbox up' first", home=of["home"], file=of["file"]
    ),
    "garbled": lambda of: say(
        "{file} is not JSON ({error}); run 'sandbox down' and 'sandbox up'", file=of["file"], error=of["error"]
    ),
    "ports": lambda of: say("port base {base} is out of range: expected 1 to {most}", base=of["base"], most=of["most"]),
}
"""The message of every problem of a home."""


def message_of(error: SandboxError) -> Message:
    """What an error says, in both languages."""
    return HOME[error.problem](error.values) if isinstance(error, HomeError) else as_message(str(error))


def timed(language: str) -> Callable[[str], None]:
    """A function that prints progress in `language`, each line with the seconds since now."""
    start = time.monotonic()
    return lambda line: tell(as_message(f"[{time.monotonic() - start:5.1f} s] ") + line, language)


def switched(fault: str, *, off: bool) -> Message:
    """That a fault was switched."""
    return say("fault {name} is off", name=fault) if off else say("fault {name} is on", name=fault)


def active(fault: str, scope: str) -> Message:
    """That a fault is on, and where."""
    return say("fault {name} is on ({scope})", name=fault, scope=scope)


def target_written(file: object) -> Message:
    """Where the target file is."""
    return say("target file: {file}", file=file)


def destroyed(at: datetime) -> Message:
    """When the database was destroyed."""
    return say("database destroyed at {at}", at=at.isoformat())


def show_json(result: Backup | Restored) -> None:
    """Print a result as JSON, which programs read: the same in every language."""
    sys.stdout.write(json.dumps(asdict(result), default=str, indent=2) + "\n")
    sys.stdout.flush()
