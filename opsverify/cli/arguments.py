"""Arguments that several commands share, and the arguments with which they start pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.config.project import suites_home, target_argument
from opsverify.config.run_options import LANGUAGE_HELP, options_of
from opsverify.core.stages import STAGES
from opsverify.language.message import LANGUAGES, say

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

TARGET_HELP: Final = say("targets/NAME.toml, or a file")


def add_stage(parser: argparse.ArgumentParser) -> None:
    """Take a stage and a target."""
    parser.add_argument("stage", metavar="STAGE", help=say("stage of the runbook: {stages}", stages=", ".join(STAGES)))
    parser.add_argument("--target", required=True, metavar="NAME_OR_FILE", help=TARGET_HELP)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Take a target."""
    parser.add_argument("--target", required=True, metavar="NAME_OR_FILE", help=TARGET_HELP)
    add_language(parser)


_UNUSED_TESTPATHS: Final = "-Wignore:No files were found in testpaths:pytest.PytestConfigWarning"
"""What a project without suites of its own needs not be told: folders are the plugin's choice, not that of pytest."""


def add_language(parser: argparse.ArgumentParser) -> None:
    """Take the language of what is printed; a run's own option of that name takes its place."""
    parser.add_argument("--language", choices=LANGUAGES, metavar="LANGUAGE", help=LANGUAGE_HELP)


def add_run_options(parser: argparse.ArgumentParser, command: str) -> None:
    """Take the run options of `command`."""
    for option in options_of(command):
        if option.flag in parser._option_string_actions:  # noqa: SLF001 - argparse has no other way
            continue
        option.declare(parser.add_argument, option.help)


def add_permission(parser: argparse.ArgumentParser) -> None:
    """Take `--yes` or `--dry-run`."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--yes", action="store_true", help=say("do it (default: actions.unattended of the target)"))
    either.add_argument("--dry-run", action="store_true", help=say("only show what would be done"))


def suite_arguments(root: Path) -> list[str]:
    """Arguments of pytest that collect the suites in `root` by its settings, whatever the working directory."""
    return [
        f"--rootdir={root}",
        f"--config-file={settings_of(root)}",
        f"--confcutdir={root}",
        "-popsverify.pytest_plugin.plugin",
        _UNUSED_TESTPATHS,
    ]


def stage_arguments(root: Path, stage: str, target: str) -> list[str]:
    """Arguments of pytest that run `stage` on `target` with the suites in `root`, whatever the working directory."""
    return [*suite_arguments(root), f"--stage={stage}", f"--target={target_argument(target)}"]


def settings_of(root: Path) -> Path:
    """The file with the settings by which pytest collects the suites in `root`."""
    return suites_home(root) / "pyproject.toml"
