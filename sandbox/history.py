"""History of a new sandbox: the snapshots that its first weekly run compares with, and its declared rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.history import capture, store_of
from opsverify.cli.rights import declared_path, read_rights, write_rights
from opsverify.config.load import load_target
from opsverify.config.project import project_root
from opsverify.errors import OpsVerifyError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def capture_first(target_file: Path, progress: Callable[[str], None]) -> None:
    """Record what the sandbox counts now, in the history of the project that its target belongs to."""
    try:
        target, secrets = load_target(target_file)
        for _, line in capture(target, secrets, store_of(project_root(str(target_file)), target)):
            progress(say("history: {line}", line=line))
        if target.rights is not None:
            written = write_rights(read_rights(target, secrets), declared_path(target), replace=True)
            progress(say("rights: {written}", written=written))
    except OpsVerifyError as error:
        progress(say("history: nothing captured ({error}); weekly comparisons begin with their first run", error=error))
