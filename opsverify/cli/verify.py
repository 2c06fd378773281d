"""`opsverify verify`: run a stage's whole plan under pytest, and end with the verdict's exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_run_options, add_stage, settings_of, stage_arguments
from opsverify.cli.reader_language import reader_language
from opsverify.config.project import project_root
from opsverify.config.run_options import arguments_of
from opsverify.language.message import say
from opsverify.pytest_plugin.process import run_stage

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = say("after --: pytest arguments")
    add_stage(parser)
    add_run_options(parser, "verify")
    parser.add_argument(
        "-v", dest="every_check", action="store_true", help=say("list passing checks on a terminal too")
    )
    parser.add_argument(
        "--color", choices=("yes", "no", "auto"), metavar="WHEN", default="auto", help=say("also: NO_COLOR")
    )
    parser.add_argument("-n", dest="workers", metavar="N", help=say("run checks in N processes (pytest-xdist)"))


def run(options: argparse.Namespace, pytest_args: Sequence[str]) -> int:
    """Run the stage in a process of its own; the exit code of its verdict."""
    root = project_root(options.target)
    arguments = [*stage_arguments(root, options.stage, options.target), "-pallure_pytest.plugin"]
    if options.workers:
        arguments += ["-pxdist.plugin", "-pxdist.looponfail", "-n", options.workers]
    arguments += ["-v"] * options.every_check + [f"--color={options.color}"]
    return run_stage(
        [*arguments, *arguments_of(options), *pytest_args], root, settings_of(root), reader_language(options)
    )
