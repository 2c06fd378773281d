"""Scratch folder of one drill or comparison, removed afterwards."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.config.recovery import Recovery


@contextmanager
def scratch_folder(recovery: Recovery) -> Iterator[Path]:
    """A folder for one drill, in the target's `[recovery] scratch`, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="ov-", dir=recovery.scratch) as name:
        Path(name).chmod(0o755)  # the server's unprivileged account has to enter it
        yield Path(name)
