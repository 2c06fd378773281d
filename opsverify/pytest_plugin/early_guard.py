"""Guard of standard output and error from the first moment: a conftest is imported before any hook of a stage runs.

pytest captures what is printed within a test. What is printed before, between and after them reaches the terminal: from
a hook or a thread at once, from a child when pytest ends and writes out what it still holds.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from opsverify.config.load import find_target, load_target
from opsverify.config.named_variables import values_to_mask
from opsverify.errors import OpsVerifyError
from opsverify.evidence.redact import RedactedStream, Redactor
from opsverify.language.plain import plain_output
from opsverify.pytest_plugin.streams import tolerant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pytest

_OPTION = "--target"


def guard_early(argv: Sequence[str], root: Path, manager: pytest.PytestPluginManager) -> None:
    """Let no secret of the target that `argv` names reach the terminal; without one there is nothing to guard."""
    name = _target_in(argv)
    if name is None:
        return
    try:
        _, secrets = load_target(find_target(name, root / "targets"))
    except OpsVerifyError:  # said, and refused, once the options are known
        return
    guard_streams(manager, Redactor(values_to_mask(secrets, root / "targets")))


def guard_streams(manager: pytest.PytestPluginManager, redactor: Redactor) -> None:
    """Remove secrets from what is printed while pytest captures nothing, and from what it writes out at its end."""
    capturing: Any = getattr(manager.get_plugin("capturemanager"), "_global_capturing", None)
    for name, captured in (("stdout", getattr(capturing, "out", None)), ("stderr", getattr(capturing, "err", None))):
        held = getattr(captured, "syscapture", captured)
        # pytest captures while it imports conftests, and puts back the stream that it holds.
        place, attribute = (held, "_old") if hasattr(held, "_old") else (sys, name)
        stream = getattr(place, attribute)
        if stream is not None and not isinstance(stream, RedactedStream):
            setattr(place, attribute, RedactedStream(tolerant(stream), redactor))
        if captured is not None and not isinstance(captured.writeorg, partial):
            captured.writeorg = partial(_written_out, captured.writeorg, redactor)


def _written_out(write: Callable[[str], None], redactor: Redactor, text: str) -> None:
    write(plain_output(redactor.text(text)))


def _target_in(argv: Sequence[str]) -> str | None:
    for place, word in enumerate(argv):
        if word.startswith(f"{_OPTION}="):
            return word.partition("=")[2]
        if word == _OPTION and place + 1 < len(argv):
            return argv[place + 1]
    return None
