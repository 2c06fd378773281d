"""Scratch folder of one drill or comparison, removed afterwards: open to the account that runs its server.

Whatever the umask is: under 077, as hardened systems have it, what is made without its mode is closed to all but root.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.config.recovery import Recovery

_OPEN: Final = 0o755
_READABLE: Final = 0o644


@contextmanager
def scratch_folder(recovery: Recovery) -> Iterator[Path]:
    """A folder for one drill, in the target's `[recovery] scratch`, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="ov-", dir=recovery.scratch) as name:
        Path(name).chmod(_OPEN)
        yield Path(name)


def make_open(folder: Path) -> None:
    """Make `folder`, and what is missing above it, so that every account may enter."""
    for missing in [part for part in reversed((folder, *folder.parents)) if not part.exists()]:
        missing.mkdir(exist_ok=True)
        missing.chmod(_OPEN)


def open_copy(folder: Path) -> None:
    """Let every account read and run what was copied to `folder`."""
    for place, _, names in os.walk(folder):
        Path(place).chmod(_OPEN)
        for path in (Path(place, name) for name in names):
            if not path.is_symlink():
                path.chmod(_OPEN if path.stat().st_mode & stat.S_IXUSR else _READABLE)
