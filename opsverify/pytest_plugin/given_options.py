"""Options that may be given together with a stage: every other one is refused, also those of plugins yet to come.

An option that is not listed may send results elsewhere (`--pastebin`), write them unredacted (`--debug`), read code
from elsewhere, hide what a check said or change how it is judged. Only what differs from the project's own `addopts`
counts as given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opsverify.config.run_options import RUN_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

SELECTS: Final = frozenset({
    "keyword", "markexpr", "maxfail", "deselect", "inversion",
    "allure_severities", "allure_epics", "allure_features", "allure_stories", "allure_ids", "allure_labels",
})  # fmt: skip
"""Run less than the plan; what was not run is inconclusive, so the verdict holds."""
SHOWS: Final = frozenset({
    "verbose", "no_header", "no_summary", "fold_skipped", "force_short_summary", "reportchars", "disable_warnings",
    "showlocals", "tbstyle", "xfail_tb", "showcapture", "fulltrace", "color", "code_highlight", "durations",
    "durations_min", "setupshow", "traceconfig", "capture", "usepdb", "junitprefix", "max_warnings", "pythonwarnings",
    "log_level", "log_format", "log_date_format", "log_cli_level", "log_cli_format", "log_cli_date_format",
    "log_auto_indent",
})  # fmt: skip
"""Change what the terminal shows; it is redacted."""
ENDS: Final = frozenset({"version", "help", "markers", "showfixtures", "show_fixtures_per_test", "cacheshow"})
"""Print and run nothing: exit 10."""
KEEPS: Final = frozenset({
    "xmlpath", "cacheclear", "strict", "strict_config", "strict_markers", "keepduplicates", "collect_in_virtualenv",
    "continue_on_collection_errors", "assertmode", "disable_plugin_autoload",
})  # fmt: skip
"""Change nothing of what is measured, judged or kept."""
SPREADS: Final = frozenset({
    "numprocesses", "maxprocesses", "maxworkerrestart", "dist", "distload", "loadscopereorder", "testrunuid",
    "maxschedchunk", "tx",
})  # fmt: skip
"""Spread the plan over worker processes of this machine."""
OWN: Final = frozenset(
    {"stage", "target", "opsverify_plan"} | {option.flag.removeprefix("--").replace("-", "_") for option in RUN_OPTIONS}
)
"""Options of a stage run."""
JUDGED: Final = frozenset({"inifilename", "rootdir", "override_ini", "plugins", "confcutdir", "file_or_dir"})
"""Judged by their values (`settings.py`, `options.py`)."""
NARROWING: Final = (
    "collectonly",
    "setuponly",
    "setupplan",
    "ignore",
    "ignore_glob",
    "lf",
    "failedfirst",
    "newfirst",
    "stepwise",
    "stepwise_skip",
    "stepwise_reset",
    "pyargs",
    "noconftest",
    "looponfail",
)
"""Run less than the plan without a message of pytest: refused, but where only the plan is asked for."""
HARMLESS: Final = SELECTS | SHOWS | ENDS | KEEPS | SPREADS | OWN
_LOCAL: Final = "popen"


def refused(config: pytest.Config) -> Iterator[str]:
    """The options given that a stage refuses, as they are written."""
    parser = config._parser  # noqa: SLF001 - no other way to the flags of an option
    own = parser.parse_known_args(list(config.getini("addopts")))
    for name, value in vars(config.option).items():
        if name in HARMLESS or name in JUDGED or name in NARROWING or value == getattr(own, name, None):
            continue
        yield flag_of(config, name)
    yield from (f"--tx {spec}" for spec in getattr(config.option, "tx", None) or () if not _is_local(spec))


def flag_of(config: pytest.Config, name: str) -> str:
    """The longest flag of the option that is kept as `name`."""
    flags = [flag for option in options_of(config) if option.dest == name for flag in option.names()]
    return max(flags, key=len, default=f"--{name.replace('_', '-')}")


def options_of(config: pytest.Config) -> Iterator[Any]:
    """Every option that pytest and its plugins have registered."""
    parser = config._parser  # noqa: SLF001 - as above
    for group in (parser._anonymous, *parser._groups):  # noqa: SLF001 - as above
        yield from group.options


def _is_local(spec: str) -> bool:
    """Whether a worker is a plain process of this interpreter: no ssh, no socket, no other Python or environment."""
    return spec.rpartition("*")[2] == _LOCAL
