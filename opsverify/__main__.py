"""Program `opsverify`, also `python -m opsverify`."""

from __future__ import annotations

import sys
import traceback

INTERNAL_ERROR = 3


def run() -> int:
    """Run the command line; a crash, even a broken installation, ends in 3 and never in Python's 1 (rollback)."""
    try:
        from opsverify.cli.main import main  # noqa: PLC0415 - its failure to import is what is caught

        return main()
    except Exception:  # noqa: BLE001 - see above
        traceback.print_exc()
        return INTERNAL_ERROR


if __name__ == "__main__":
    sys.exit(run())
