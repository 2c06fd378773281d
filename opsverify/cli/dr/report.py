"""`opsverify dr report`: one page, an incident's or a rehearsal's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.dr.entry import add_incident
from opsverify.cli.reader_language import reader_language
from opsverify.config.project import project_root, target_argument
from opsverify.language.message import say
from opsverify.language.tell import tell
from opsverify.report.publish import publish_incident, publish_rehearsal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    add_incident(parser)
    parser.add_argument("--run", dest="run_folder", metavar="RUN", help=say("a rehearsal's id or folder, or latest"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Build the page and print its path. Raises EvidenceError or Refused."""
    root, target = project_root(), target_argument(options.target)
    if options.run_folder:
        path = publish_rehearsal(options.run_folder, root, options.language)
    else:
        path = publish_incident(target, root, options.incident, options.language)
    tell(str(path), reader_language(options))
    return 0
