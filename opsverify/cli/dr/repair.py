"""`opsverify dr repair`: keep what is whole of a damaged incident record, and say what was cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.errors import Refused
from opsverify.incident.entries import REPORTS
from opsverify.incident.repair import repair
from opsverify.incident.timeline import INCIDENTS, NAME
from opsverify.language.message import say
from opsverify.language.tell import tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    parser.add_argument("--incident", metavar="ID", help=say("default: the target's newest"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Repair the record and print what was cut. Raises Refused where nothing is damaged."""
    root = project_root()
    target, _ = load_target(find_target(target_argument(options.target), root / "targets"), with_secrets=False)
    folders = root / REPORTS / INCIDENTS
    if options.incident:
        folder = folders / options.incident
    else:
        known = sorted(folders.glob(f"*Z-{target.name}-????/{NAME}"))
        if not known:
            raise Refused(say("no incident was declared on {name}", name=target.name))
        folder = known[-1].parent
    for line in repair(folder):
        tell(line, reader_language(options))
    return 0
