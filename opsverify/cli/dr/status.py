"""`opsverify dr status`: what is done, since when, and what the next step needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.dr.entry import add_incident, print_status

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    add_incident(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print the status of the incident."""
    print_status(options, options.incident)
    return 0
