"""`opsverify act`: carry out what one run's verdict decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_language, add_permission
from opsverify.config.project import project_root, target_argument
from opsverify.language.message import say
from opsverify.release.act import act

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run_folder", metavar="RUN", help=say("a run's id or folder, or latest"))
    parser.add_argument("--target", metavar="NAME_OR_FILE", help=say("default: the target the verdict names"))
    add_permission(parser)
    add_language(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Carry the verdict out, or show what would be done; the exit code."""
    target = target_argument(options.target) if options.target else None
    return act(
        options.run_folder,
        target,
        project_root(options.target),
        yes=options.yes,
        dry_run=options.dry_run,
        language=options.language,
    )
