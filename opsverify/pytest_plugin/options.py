"""Options of a stage run on pytest's command line, and options of pytest that a stage refuses."""

from __future__ import annotations

import pytest

from opsverify.config.project import suite_folders
from opsverify.config.run_options import RUN_OPTIONS, given_in
from opsverify.pytest_plugin.stage_run import Request

NARROWING_INI = (
    "python_files",
    "python_classes",
    "python_functions",
    "norecursedirs",
    "collect_imported_tests",
)
NARROWING = (
    "collectonly",
    "setuponly",
    "setupplan",
    "ignore",
    "ignore_glob",
    "lf",
    "failedfirst",
    "newfirst",
    "pyargs",
)
"""Options that run less than the plan without a message of pytest: refused together with a stage."""


def declare(group: pytest.OptionGroup) -> None:
    """Add the options of a stage run."""
    group.addoption("--stage", metavar="STAGE", help="verify this stage of the runbook")
    group.addoption("--target", metavar="NAME_OR_FILE", help="the target: targets/NAME.toml or a file")
    for option in RUN_OPTIONS:
        option.declare(group.addoption)
    group.addoption("--opsverify-plan", action="store_true", help="collect the plan only (opsverify plan)")


def request_of(config: pytest.Config) -> Request:
    """The stage, target and run options of pytest's command line."""
    return Request(config.option.stage, config.option.target, given_in(config.option))


def use_suites(config: pytest.Config) -> None:
    """Collect from all suites; raises UsageError where the command line names tests."""
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        raise pytest.UsageError(
            f"a stage runs its whole plan; leave {' '.join(config.args) or 'all but options'} out "
            "(-k runs one check, and the verdict then holds)"
        )
    config.args = [str(folder) for folder in suite_folders(config.rootpath)]


def refuse_narrowing(config: pytest.Config) -> None:
    """Raise UsageError for options that run less than the plan."""
    given = ["--" + name.replace("_", "-") for name in NARROWING if getattr(config.option, name, None)]
    overridden = config.option.override_ini or ()
    given += [f"-o {pair}" for pair in overridden if pair.partition("=")[0] in NARROWING_INI]
    if given and not hasattr(config, "workerinput"):
        names = ", ".join(given)
        raise pytest.UsageError(f"{names}: would run less than the plan; leave it out (opsverify plan lists the plan)")
