"""`opsverify pin`: the list of every suite's checks, written to its folder or compared with it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.arguments import add_language, suite_arguments
from opsverify.cli.reader_language import reader_language
from opsverify.config.project import project_root, suite_folders
from opsverify.core.exit_codes import ExitCode
from opsverify.core.pinned import PINS, REPIN, dumps
from opsverify.errors import TargetError
from opsverify.evidence.files import write_atomic
from opsverify.language.message import say
from opsverify.language.tell import tell
from opsverify.pytest_plugin.collection import PinPlugin

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from opsverify.core.pinned import PinnedCheck


class _Pins:
    """Registers the collection's hooks as soon as pytest has its configuration."""

    plugin: PinPlugin | None = None

    def pytest_configure(self, config: pytest.Config) -> None:
        """Collect for the lists only."""
        self.plugin = PinPlugin(config)
        config.pluginmanager.register(self.plugin)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_language(parser)
    parser.add_argument("--check", action="store_true", help=say("write nothing; fail where a list is stale"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Write the lists; with `--check` compare them: 0 when all are right, 10 when one is stale."""
    stale = []
    for suite, checks in collect_pins(project_root()).items():
        path, text = suite / PINS, dumps(checks.values())
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if text == present or not (checks or present):
            continue
        stale.append(path)
        if not options.check:
            write_atomic(path, text)
    for path in stale:
        what = say("stale; write it anew: {repin}", repin=REPIN) if options.check else say("written")
        tell(say("{path}: {what}", path=f"{path.parent.name}/{path.name}", what=what), reader_language(options))
    return ExitCode.HOLD if stale and options.check else ExitCode.PASSED


def collect_pins(root: Path) -> dict[Path, dict[str, PinnedCheck]]:
    """The checks of every suite in `root`, by suite and id. Raises TargetError where not all can be collected."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    pins = _Pins()
    # An installed package brings the lists of its own suites: only those of the project are written.
    suites = [str(folder) for folder in suite_folders(root) if folder.is_relative_to(root)]
    with contextlib.chdir(root):  # the project's own runbook is found from the working directory
        pytest.main([*suite_arguments(root), "-pno:terminal", "--collect-only", *suites], plugins=[pins])
    if pins.plugin is None:
        raise TargetError(say("the suites cannot be collected, for the reason above"))
    found = pins.plugin.found()
    if pins.plugin.troubles:
        raise TargetError(*pins.plugin.troubles)
    return found
