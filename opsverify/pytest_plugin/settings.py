"""Settings of pytest that decide what is collected and run: a stage accepts them from its project only.

The project's file (`pyproject.toml`) says how its suites are collected. Another file, `-o`, a plugin or an option that
narrows is refused, however it came: command line, `PYTEST_ADDOPTS`, `PYTEST_PLUGINS`, a `pytest.ini` in the way.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from opsverify.config.project import is_own_project
from opsverify.core.exit_codes import ExitCode
from opsverify.language.message import join, say
from opsverify.language.tell import tell
from opsverify.pytest_plugin.given_options import NARROWING, flag_of, refused
from opsverify.pytest_plugin.launch import Launch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SETTINGS: Final = "pyproject.toml"
SHOWN_ONLY: Final = frozenset({
    "cache_dir", "console_output_style", "faulthandler_timeout", "junit_family", "junit_suite_name",
    "log_cli", "log_cli_date_format", "log_cli_format", "log_cli_level", "log_level",
    "strict", "strict_config", "strict_markers", "tmp_path_retention_count", "tmp_path_retention_policy",
    "truncation_limit_chars", "truncation_limit_lines",
    "verbosity_assertions", "verbosity_subtests", "verbosity_test_cases",
})  # fmt: skip
"""Settings that change what is shown or kept, never what is collected or how it is judged: `-o` may give them."""
OWN_PLUGINS: Final = frozenset({
    "opsverify.pytest_plugin.plugin", "allure_pytest", "allure_pytest.plugin", "xdist", "xdist.plugin",
    "xdist.looponfail",
})  # fmt: skip
"""Plugins that a stage uses."""
DISPENSABLE: Final = frozenset(
    {"cacheprovider", "doctest", "faulthandler", "junitxml", "pastebin", "stepwise", "terminal"}
)
"""Parts of pytest that may be switched off: they neither collect nor judge."""


def refuse_settings(config: pytest.Config) -> None:
    """Raise UsageError for settings, plugins and options that are not the project's; a worker has its controller's."""
    if hasattr(config, "workerinput"):
        return
    if sys.flags.optimize:
        raise pytest.UsageError(say("python -O removes what checks assert; start it without -O and PYTHONOPTIMIZE"))
    if sys.flags.inspect:
        tell(
            say("python -i ends in 1 (rollback) whatever was decided; start it without -i and PYTHONINSPECT"),
            Launch.language_of(config),
            sys.stderr,
        )
        os._exit(ExitCode.USAGE)  # a SystemExit would begin the session
    if found := [*_files(config), *_overrides(config), *_plugins(config), *refused(config)]:
        raise pytest.UsageError(
            join(
                "\n",
                (say("{given}: a stage runs with the project's settings; leave it out", given=each) for each in found),
            )
        )


def refuse_narrowing(config: pytest.Config) -> None:
    """Raise UsageError for options that run less than the plan."""
    given = [flag_of(config, name) for name in NARROWING if getattr(config.option, name, None)]
    if given and not hasattr(config, "workerinput"):
        names = ", ".join(given)
        raise pytest.UsageError(
            say("{names}: would run less than the plan; leave it out (opsverify plan lists the plan)", names=names)
        )


def _files(config: pytest.Config) -> Iterator[str]:
    """Another settings file, root or reach of conftest files than the project's."""
    launch = Launch.of(config)
    expected = launch.settings if launch else config.rootpath / SETTINGS
    if launch and config.rootpath != launch.root:
        yield f"--rootdir {config.rootpath}"
    if not launch and config.option.rootdir:
        yield f"--rootdir {config.option.rootdir}"
    if not launch and config.option.inifilename:
        yield f"-c {config.option.inifilename}"
    elif config.inipath != expected and not (config.inipath is None and is_own_project(config.rootpath)):
        yield f"settings of {config.inipath or 'no file'} (expected {expected})"
    reach = config.option.confcutdir
    if reach and Path(reach).resolve() != config.rootpath.resolve():
        yield f"--confcutdir {reach}"


def _overrides(config: pytest.Config) -> Iterator[str]:
    for pair in config.option.override_ini or ():
        if pair.partition("=")[0] not in SHOWN_ONLY:
            yield f"-o {pair}"


def _plugins(config: pytest.Config) -> Iterator[str]:
    """Plugins that are loaded, and parts of pytest that are switched off, by anybody but the project."""
    allowed = OWN_PLUGINS | set(_named(config.getini("addopts")))
    for name in config.option.plugins:
        blocked = name.removeprefix("no:")
        if name not in allowed and (name == blocked or _is_needed(blocked)):
            yield f"-p {name}"
    for name in os.environ.get("PYTEST_PLUGINS", "").split(","):
        if name and name not in allowed:
            yield f"PYTEST_PLUGINS={name}"


def _is_needed(plugin: str) -> bool:
    """Whether a plugin is a part of pytest that collects or judges."""
    return plugin.isidentifier() and plugin not in DISPENSABLE and find_spec(f"_pytest.{plugin}") is not None


def _named(arguments: Sequence[str]) -> Iterator[str]:
    """The plugins that a project's `addopts` names."""
    for position, argument in enumerate(arguments):
        if argument == "-p":
            yield from arguments[position + 1 : position + 2]
        elif argument.startswith("-p"):
            yield argument.removeprefix("-p").strip()
