"""Command line `opsverify sandbox regions VERB`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sandbox.regions.pair import Regions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_STOPPED = 3


def run(arguments: argparse.Namespace, progress: Callable[[str], None]) -> int:
    """Carry out one step; 0 done, 3 (status) something is stopped. Raises SandboxError."""
    regions = Regions(arguments.home, arguments.port_base, progress)
    if arguments.step == "switchback":
        regions.switchback(arguments.choice)
    elif arguments.step == "rewind":
        sys.stdout.write(regions.rewind())
    elif arguments.step == "status":
        found = regions.status()
        sys.stdout.writelines(f"{name:20}{state}\n" for name, state in found.items())
        return _STOPPED if "stopped" in found.values() else 0
    else:
        getattr(regions, arguments.step)()
    if arguments.step == "up":
        sys.stdout.write(f"target file: {regions.target}\n")
    return 0
