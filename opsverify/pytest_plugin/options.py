"""What a stage run can be told on pytest's command line, and what it must not be told."""

from __future__ import annotations

import pytest

from opsverify.pytest_plugin.stage_run import Request

SUITES = ("checks", "smoke", "dr_validation")
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
"""Options that would run less than the plan without pytest saying so: refused together with a stage."""


def declare(group: pytest.OptionGroup) -> None:
    """Add the options of a stage run."""
    group.addoption("--stage", metavar="STAGE", help="verify this stage of the runbook")
    group.addoption("--target", metavar="NAME_OR_FILE", help="the target: targets/NAME.toml or a file")
    group.addoption("--window", metavar="DURATION", help="how long a canary is observed, such as 12m")
    group.addoption(
        "--recovery-target", metavar="TIME", help="the point in time the database was recovered to (ISO 8601)"
    )
    group.addoption("--rolled-back-at", metavar="TIME", help="when the rollback began (ISO 8601)")
    group.addoption("--switched-at", metavar="TIME", help="when traffic was given to the other region (ISO 8601)")
    group.addoption("--share", metavar="SHARE", help="the share the canary should receive, such as 50%%")
    group.addoption("--report-dir", metavar="DIR", help="put the run's evidence directly in DIR")
    group.addoption("--allow-short-window", action="store_true", help="accept less than the runbook's window")
    group.addoption("--opsverify-plan", action="store_true", help="collect the plan only (opsverify plan)")


def request_of(config: pytest.Config) -> Request:
    """What was asked for on pytest's command line."""
    options = config.option
    return Request(
        options.stage,
        options.target,
        options.window,
        options.report_dir,
        options.recovery_target,
        allow_short_window=options.allow_short_window,
        rolled_back_at=options.rolled_back_at,
        switched_at=options.switched_at,
        share=options.share,
    )


def use_suites(config: pytest.Config) -> None:
    """Collect from all suites; raises UsageError where the person named tests."""
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        raise pytest.UsageError(
            f"a stage runs its whole plan: leave {' '.join(config.args) or 'all but options'} out; "
            "to try one check use -k (the verdict then holds)"
        )
    config.args = [str(config.rootpath / suite) for suite in SUITES]


def refuse_narrowing(config: pytest.Config) -> None:
    """Raise UsageError for options that run less than the plan."""
    given = ["--" + name.replace("_", "-") for name in NARROWING if getattr(config.option, name, None)]
    overridden = config.option.override_ini or ()
    given += [f"-o {pair}" for pair in overridden if pair.partition("=")[0] in NARROWING_INI]
    if given and not hasattr(config, "workerinput"):
        names = ", ".join(given)
        raise pytest.UsageError(f"{names} would run less than the plan: leave it out (opsverify plan lists the plan)")
