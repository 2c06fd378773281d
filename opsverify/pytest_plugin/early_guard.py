"""Guard of stderr from the first moment: a conftest that fails is printed before any hook of a stage runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from opsverify.config.load import find_target, load_target
from opsverify.config.named_variables import values_to_mask
from opsverify.errors import OpsVerifyError
from opsverify.evidence.redact import RedactedStream, Redactor
from opsverify.pytest_plugin.streams import tolerant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

_OPTION = "--target"


def guard_early(argv: Sequence[str], root: Path, manager: pytest.PytestPluginManager) -> None:
    """Let no secret of the target that `argv` names reach stderr; without one there is nothing to guard."""
    name = _target_in(argv)
    place, attribute = _stderr(manager)
    stream = getattr(place, attribute)
    if name is None or stream is None or isinstance(stream, RedactedStream):
        return
    try:
        _, secrets = load_target(find_target(name, root / "targets"))
    except OpsVerifyError:  # said, and refused, once the options are known
        return
    setattr(place, attribute, RedactedStream(tolerant(stream), Redactor(values_to_mask(secrets, root / "targets"))))


def _stderr(manager: pytest.PytestPluginManager) -> tuple[Any, str]:
    """Where the real stderr is kept: pytest captures while it imports conftests, and puts it back to print."""
    capture: Any = getattr(manager.get_plugin("capturemanager"), "_global_capturing", None)
    err = getattr(capture, "err", None)
    held = getattr(err, "syscapture", err)
    return (held, "_old") if hasattr(held, "_old") else (sys, "stderr")


def _target_in(argv: Sequence[str]) -> str | None:
    for place, word in enumerate(argv):
        if word.startswith(f"{_OPTION}="):
            return word.partition("=")[2]
        if word == _OPTION and place + 1 < len(argv):
            return argv[place + 1]
    return None
