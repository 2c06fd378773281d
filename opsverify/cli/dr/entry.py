"""An entry of a timeline on the command line: the arguments that `declare`, `mark` and `status` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.reader_language import reader_language
from opsverify.config.project import project_root, target_argument
from opsverify.config.severity import SEVERITIES
from opsverify.incident.entries import status
from opsverify.language.message import say
from opsverify.language.tell import tell

if TYPE_CHECKING:
    import argparse


def add_entry(parser: argparse.ArgumentParser) -> None:
    """Take who did it, when, and a note."""
    parser.add_argument("--by", metavar="NAME", help=say("who did it (default: the user)"))
    parser.add_argument("--at", metavar="TIME", help=say("when it was done (ISO 8601; default: now)"))
    parser.add_argument("--note", metavar="TEXT", default="", help=say("a line for the report"))


def add_severity(parser: argparse.ArgumentParser) -> None:
    """Take the severity of the runbook's section 4."""
    parser.add_argument("--severity", choices=SEVERITIES, help=say("severity of the incident from this entry on"))


def add_incident(parser: argparse.ArgumentParser) -> None:
    """Take the incident."""
    parser.add_argument("--incident", metavar="ID", help=say("default: the target's open one, else its newest"))


def print_status(options: argparse.Namespace, incident: str | None) -> None:
    """Print the status of `incident` (an id; None: as `--incident` has it)."""
    for line in status(target_argument(options.target), project_root(), incident):
        tell(line, reader_language(options))
