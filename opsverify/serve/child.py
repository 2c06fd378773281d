"""Child of the server: a program that replaces itself by a command, and is told to stop when the server ends.

`python -I -S child.py PID ARGV...`; PID is the server's. It imports nothing of the library: it is started for each run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import Final, NoReturn

_PARENT_DEATH_SIGNAL: Final = 1
_ENDED: Final = 3


def main(parent: int, argv: list[str]) -> NoReturn:
    """Run `argv` in this process, unless the server has ended already."""
    with contextlib.suppress(OSError, AttributeError):  # other systems than Linux
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(_ENDED)
    os.execv(argv[0], argv)  # noqa: S606 - argv of the server


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
