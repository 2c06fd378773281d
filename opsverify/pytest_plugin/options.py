"""Options of a stage run on pytest's command line, and the folders that it collects from."""

from __future__ import annotations

from typing import Final

import pytest

from opsverify.config.project import suite_folders
from opsverify.config.run_options import RUN_OPTIONS, given_in
from opsverify.language.message import say
from opsverify.pytest_plugin.request import Request


def declare(group: pytest.OptionGroup) -> None:
    """Add the options of a stage run."""
    group.addoption("--stage", metavar="STAGE", help="verify this stage of the runbook")
    group.addoption("--target", metavar="NAME_OR_FILE", help="the target: targets/NAME.toml or a file")
    for option in RUN_OPTIONS:
        option.declare(group.addoption, option.help.en.replace("%", "%%"))
    group.addoption("--opsverify-plan", action="store_true", help="collect the plan only (opsverify plan)")


_OF_TESTS: Final = ("[", "::")
"""What no path to a suite may have: pytest cuts its arguments there."""


def is_stage_given(config: pytest.Config) -> bool:
    """Whether a stage is asked for, also where pytest stopped to parse before it (`--help` in PYTEST_ADDOPTS)."""
    arguments = map(str, config.invocation_params.args)
    return bool(config.option.stage) or any(each.partition("=")[0] == "--stage" for each in arguments)


def request_of(config: pytest.Config) -> Request:
    """The stage, target and run options of pytest's command line."""
    return Request(config.option.stage, config.option.target, given_in(config.option))


def use_suites(config: pytest.Config) -> None:
    """Collect from all suites; raises UsageError where the command line names tests."""
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        given = " ".join(config.args) or say("all but options")
        raise pytest.UsageError(
            say(
                "a stage runs its whole plan; leave {given} out (-k runs one check, and the verdict then holds)",
                given=given,
            )
        )
    config.args = [str(folder) for folder in suite_folders(config.rootpath)]
    for folder in config.args:
        if found := next((sign for sign in _OF_TESTS if sign in folder), None):
            raise pytest.UsageError(
                say(
                    "{folder}: pytest reads {sign} as part of a test's name; rename the folder",
                    folder=folder,
                    sign=found,
                )
            )
