"""Options beside a stage: each that pytest and its plugins register is classed, and an unknown one is refused."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.config import get_config

from opsverify.pytest_plugin.given_options import (
    ENDS,
    HARMLESS,
    JUDGED,
    KEEPS,
    NARROWING,
    OWN,
    SELECTS,
    SHOWS,
    SPREADS,
    options_of,
    refused,
)
from tests.attack.tries import Stage, project

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = {
    "pastebin": "sends the results to a public server",
    "debug": "writes what hooks are called with to a file, unredacted",
    "log_file": "writes what is logged to a file, unredacted",
    "log_file_mode": "belongs to log_file",
    "log_file_level": "belongs to log_file",
    "log_file_format": "belongs to log_file",
    "log_file_date_format": "belongs to log_file",
    "logger_disable": "hides what a client logged",
    "attach_capture": "hides what a check printed from the evidence",
    "allure_report_dir": "the results lie in the run's folder",
    "clean_alluredir": "removes files of the run's folder",
    "allure_link_pattern": "writes addresses of somebody's choice into the report",
    "basetemp": "empties the folder that it names",
    "importmode": "may import another module of the same name",
    "usepdb_cls": "imports a class of somebody's choice",
    "trace": "waits for a person before each check",
    "runxfail": "changes what pytest.xfail does in a check",
    "last_failed_no_failures": "belongs to --lf",
    "doctestmodules": "collects what is no check",
    "doctestreport": "belongs to --doctest-modules",
    "doctestglob": "collects what is no check",
    "doctest_ignore_import_errors": "hides an import error",
    "doctest_continue_on_failure": "belongs to --doctest-modules",
    "px": "runs checks from another host",
    "rsyncdir": "sends files to another host",
    "rsyncignore": "belongs to --rsyncdir",
}
"""What a stage refuses because nothing lists it, and why nothing does."""


@pytest.fixture(name="config", scope="module")
def whole_config() -> pytest.Config:
    """Pytest with all plugins that a stage loads, and the options they register."""
    config = get_config([])
    for name in ("xdist.plugin", "xdist.looponfail", "allure_pytest.plugin", "opsverify.pytest_plugin.plugin"):
        config.pluginmanager.import_plugin(name)
    return config


def test_every_option_is_classed_once(config: pytest.Config) -> None:
    """A new version of pytest, xdist or Allure with an option that nobody judged fails here; a stage refuses it."""
    registered = {option.dest for option in options_of(config)}
    classes = Counter(
        [*SELECTS, *SHOWS, *ENDS, *KEEPS, *SPREADS, *OWN, *JUDGED - {"file_or_dir"}, *NARROWING, *REFUSED]
    )
    assert registered - classes.keys() == set(), "not classed"
    assert classes.keys() - registered == set(), "not an option"
    assert [name for name, count in classes.items() if count > 1] == []


def test_an_option_of_another_plugin_is_refused(config: pytest.Config) -> None:
    """What no list names is refused once it is given, and named by its flag."""
    given: dict[str, Any] = {"random_order_bucket": "module", "pastebin": "all", "keyword": "x", "tx": ["2*popen"]}
    found = refused(_with(config, given))
    assert list(found) == ["--random-order-bucket", "--pastebin"]


@pytest.mark.parametrize(
    ("spec", "local"),
    [
        ("popen", True),
        ("3*popen", True),
        ("ssh=host", False),
        ("socket=host:8888", False),
        ("popen//python=/tmp/python", False),
        ("2*popen//chdir=/tmp", False),
        ("popen//env:PATH=/tmp", False),
        ("popen//via=ssh1", False),
    ],
)
def test_workers_are_processes_of_this_interpreter(config: pytest.Config, spec: str, local: bool) -> None:  # noqa: FBT001 - a case
    """No check runs on another host, in another interpreter or with other variables."""
    assert list(refused(_with(config, {"tx": [spec]}))) == ([] if local else [f"--tx {spec}"])


@pytest.mark.parametrize("option", ["--pastebin=all", "--debug=trace.log", "--log-file=log.txt", "--basetemp=precious"])
def test_nothing_is_done_before_the_refusal(option: str, tmp_path: Path) -> None:
    """The option is named, exit 4; no address was asked, no file written, no folder emptied."""
    suite = project(tmp_path / "project")
    (suite.root / "precious").mkdir()
    (suite.root / "precious" / "file").touch()
    ran = Stage(args=(option,))(suite)
    assert ran.code == 4, str(ran)
    assert f"{option.partition('=')[0]}: a stage runs with the project's settings; leave it out" in ran.err
    assert (suite.root / "precious" / "file").exists()
    assert not (suite.root / "log.txt").exists()


def test_harmless_options_are_what_they_were(tmp_path: Path) -> None:
    """Options of everyday use beside a stage change neither verdict nor exit code."""
    everyday = ("-s", "-vv", "--tb=short", "-l", "-rA", "--durations=3", "--color=no", "-Wdefault", "--log-level=DEBUG")
    assert {"capture", "verbose", "tbstyle"} <= HARMLESS
    assert Stage(args=everyday)(project(tmp_path / "project")).code == 0


def _with(config: pytest.Config, given: dict[str, Any]) -> Any:  # noqa: ANN401 - the part of a config that is read
    return SimpleNamespace(
        _parser=config._parser, getini=lambda _name: [], option=SimpleNamespace(**given), invocation_params=None
    )
