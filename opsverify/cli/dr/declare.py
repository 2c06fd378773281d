"""`opsverify dr declare`: declare a disaster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.dr.entry import add_entry, add_severity, print_status
from opsverify.config.project import project_root, target_argument
from opsverify.incident.entries import Entry, declare
from opsverify.language.message import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    add_entry(parser)
    add_severity(parser)
    parser.add_argument("--disaster-at", metavar="TIME", help=say("when it happened (ISO 8601)"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Declare the disaster and print the status. Raises Refused."""
    entry = Entry(
        by=options.by, at=options.at, note=options.note, disaster_at=options.disaster_at, severity=options.severity
    )
    incident = declare(target_argument(options.target), project_root(), entry)
    print_status(options, incident.id)
    return 0
