"""`opsverify rehearse`: the whole weekly rehearsal, unattended."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from opsverify.cli.arguments import add_run_options, add_target
from opsverify.cli.ledger import newest_target
from opsverify.config.project import project_root, target_argument
from opsverify.config.run_options import arguments_of
from opsverify.errors import Inconclusive

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    add_run_options(parser, "rehearse")


def run(options: argparse.Namespace, pytest_args: Sequence[str]) -> NoReturn:
    """Verify the stage `rehearsal` up to the newest point in time that can be recovered; exit code as `verify`'s.

    Without such a point the stage runs all the same, so that its verdict and evidence say why it holds.
    """
    target = target_argument(options.target)
    arguments = ["verify", "rehearsal", "--target", target]
    try:
        moment = newest_target(target, project_root(options.target))
        sys.stdout.write(f"rehearsal: newest recovery target {moment.isoformat()}\n")
        arguments += ["--recovery-target", moment.isoformat()]
    except Inconclusive as error:
        sys.stdout.write(f"rehearsal: no recovery target: {error}\n")
    arguments += arguments_of(options)
    if pytest_args:
        arguments += ["--", *pytest_args]
    sys.stdout.flush()
    # In this process's place, so that a job's signals and the exit code are the stage's own.
    os.execv(sys.executable, [sys.executable, "-m", "opsverify", *arguments])  # noqa: S606 - no shell, our interpreter
