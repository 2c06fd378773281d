"""`opsverify verify`: run a stage's whole plan under pytest, and end with the verdict's exit code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.arguments import add_run_options, add_stage, stage_arguments
from opsverify.config.project import project_root
from opsverify.config.run_options import arguments_of
from opsverify.pytest_plugin.exit_status import exit_status

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


class _VerdictRecorder:
    """Records the verdict's exit code: pytest also returns 0 for `--version`, which verifies nothing."""

    concluded: int | None = None

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        plugin = config.pluginmanager.get_plugin("opsverify-stage")
        self.concluded = plugin.run.concluded if plugin else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "after --: pytest arguments"
    add_stage(parser)
    add_run_options(parser, "verify")
    parser.add_argument("-v", dest="every_check", action="store_true", help="list passing checks on a terminal too")
    parser.add_argument("--color", choices=("yes", "no", "auto"), default="auto", help="also: NO_COLOR")
    parser.add_argument("-n", dest="workers", metavar="N", help="run checks in N processes (pytest-xdist)")


def run(options: argparse.Namespace, pytest_args: Sequence[str]) -> int:
    """Run the stage; the exit code of its verdict."""
    # Only the plugins named here: others must neither slow a gate down nor change its selection.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    root = project_root(options.target)
    arguments = [*stage_arguments(root, options.stage, options.target), "-pallure_pytest.plugin"]
    if options.workers:
        arguments += ["-pxdist.plugin", "-pxdist.looponfail", "-n", options.workers]
    arguments += ["-v"] * options.every_check + [f"--color={options.color}"]
    arguments += [*arguments_of(options), *pytest_args]
    os.chdir(root)  # pytest finds no conftest.py from elsewhere; every path was made absolute before
    recorder = _VerdictRecorder()
    status = pytest.main(arguments, plugins=[recorder])
    return exit_status(int(status), recorder.concluded)
