"""`opsverify rollout`: expand the canary step by step, each step verified before the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_permission, add_run_options, add_target
from opsverify.config.project import project_root, target_argument
from opsverify.config.run_options import arguments_of
from opsverify.language.message import say
from opsverify.release.rollout import rollout
from opsverify.release.unfinished import Choice

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    add_run_options(parser, "rollout")
    add_permission(parser)
    parser.add_argument(
        "--unfinished",
        choices=[str(choice) for choice in Choice],
        metavar="CHOICE",
        help=say("a rollout that was killed: {choices} (default: name it, and do nothing)", choices=", ".join(Choice)),
    )


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Roll out, or show what would be done; the exit code."""
    target, more = target_argument(options.target), arguments_of(options)
    root = project_root(options.target)
    return rollout(
        target,
        root,
        more,
        yes=options.yes,
        dry_run=options.dry_run,
        choice=options.unfinished and Choice(options.unfinished),
        language=options.language,
    )
