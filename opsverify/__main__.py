"""Program `opsverify`, also `python -m opsverify`."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import traceback
from typing import NoReturn

INTERRUPTED = 2
INTERNAL_ERROR = 3
USAGE = 4
NEW_OBJECTS = 10_000
"""New objects between two searches for cycles. With Python's 700, every few imports and every check set one off."""


def run() -> int:
    """Run the command line; a crash, even a broken installation, ends in 3 and never in Python's 1 (rollback)."""
    if sys.flags.optimize:
        sys.stderr.write("opsverify: python -O removes what checks assert; start it without -O and PYTHONOPTIMIZE\n")
        return USAGE
    if sys.flags.inspect or os.environ.get("PYTHONINSPECT"):
        sys.stderr.write(
            "opsverify: python -i ends in 1 (rollback) whatever was decided; start it without -i and PYTHONINSPECT\n"
        )
        sys.stderr.flush()
        os._exit(USAGE)  # a SystemExit would begin the session
    gc.set_threshold(NEW_OBJECTS)
    leave_current_folder_out()
    try:
        from opsverify.cli.main import main  # noqa: PLC0415 - its failure to import is what is caught
        from opsverify.pytest_plugin.streams import tolerant_output  # noqa: PLC0415 - as above

        with tolerant_output():
            return main()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - see above
        traceback.print_exc()
        return INTERNAL_ERROR


def program() -> NoReturn:
    """Run the command line, and end this process with its exit code.

    A stage has run in a child, and nothing is left to do: Python would take 50 ms to free what this process read.
    """
    code = run()
    if sys.argv[1:2] == ["verify"]:
        atexit._run_exitfuncs()  # noqa: SLF001 - as in the child
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # none, or a closed one
                stream.flush()
        os._exit(code)
    sys.exit(code)


def leave_current_folder_out() -> None:
    """Import nothing from the current folder (`python -m`, PYTHONPATH), unless opsverify itself lies there."""
    try:
        here = os.getcwd()  # noqa: PTH109 - nothing is imported before this
    except OSError:  # the folder was removed
        return
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - as above
    if here != ours:
        sys.path[:] = [entry for entry in sys.path if entry and os.path.abspath(entry) != here]  # noqa: PTH100


if __name__ == "__main__":
    program()
