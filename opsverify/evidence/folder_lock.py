"""Lock of a run's folder: it lives as long as the process of the run, however that ends, and leaves no file."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from opsverify.errors import TargetError
from opsverify.language.message import say

if TYPE_CHECKING:
    from pathlib import Path


def lock_folder(path: Path) -> int:
    """Make the folder if need be and lock it; the descriptor that holds the lock.

    Raises TargetError where another run holds it, OSError where the folder cannot be made or opened. A file system
    without locks locks nothing.
    """
    while True:
        path.mkdir(parents=True, exist_ok=True)
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            raise TargetError(
                say("--report-dir {path}: another run writes there; await its end or name another", path=path)
            ) from None
        except OSError:
            return held
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held), path.stat()):
                return held
        os.close(held)  # another run has set the folder aside in the meantime
