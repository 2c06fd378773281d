"""Command line `opsverify sandbox regions VERB`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from opsverify.language.message import as_message
from opsverify.language.tell import tell
from sandbox.regions.pair import Regions
from sandbox.said import target_written

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
        for name, state in found.items():
            tell(as_message(f"{name:20}") + state, arguments.language)
        return _STOPPED if "stopped" in found.values() else 0
    else:
        getattr(regions, arguments.step)()
    if arguments.step == "up":
        tell(target_written(regions.target), arguments.language)
    return 0
