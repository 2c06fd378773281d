"""Fixtures of several test folders: a running stand-in platform for those that need it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from opsverify.language.environment import environment_language
from tests.majors.servers import other_major

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.scheduler import Together
    from tests.support.standin import Standin

pytest_plugins = (
    "tests.support.checks",
    "tests.support.browsers",
    "tests.support.cluster_fixtures",
    "tests.support.engine",
    "tests.support.finished_run_fixture",
)

# How fast a machine is decides nothing, and fixtures of the property tests hold no state of an example.
settings.register_profile(
    "opsverify", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("opsverify")

OF_THE_SURROUNDINGS = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "CLICOLOR_FORCE", "PG_COLOR")
"""Variables that change what programs print; tests that are about one set it."""
CANARY_SHARE = 0.16
_PROOF = "tests/proof/test_faults.py::test_exactly_the_declared_checks_turn_red["
ON_A_STANDIN = {
    f"{_PROOF}staging": "releases and days",
    f"{_PROOF}daily": "releases and days",
    f"{_PROOF}weekly": "releases and days",
    f"{_PROOF}post-rollback": "releases and days",
    _PROOF: "canaries and recoveries",
    "tests/proof/test_switchback.py": "regions",
    "tests/release/test_act_on_sandbox.py": "contracts",
    "tests/e2e/": "contracts",
}
"""What tests whose id begins like this run on, a worker each, the first match: a stand-in, or the two regions."""
TOGETHER = {
    "tests/containers/test_sandbox.py": "sandbox in containers",
    "tests/docs/": "plans of all stages",
    "tests/pytest_plugin/test_pins.py": "plans of all stages",
    "tests/recovery/backup/test_managers.py": "repositories of backups",
    "tests/recovery/drill/test_drill.py": "drill",
    "tests/recovery/verify/test_every_relation.py": "specimens",
    "tests/report/test_in_browser.py": "browser",
}
"""Tests that share what takes ten seconds and more to make: on several workers it would be made several times."""


def pytest_configure() -> None:
    """Let Ctrl-C mean what it does at a terminal, also where the tests were started in the background.

    What a command prints without a target follows the environment: the tests are of an English one, and of one without
    a width, colours and a proxy, which clients of the tests' own would take. Folders that tests make for PostgreSQL's
    account are open to it: what a closed umask does has tests of its own.
    """
    os.umask(0o022)
    for name in (*OF_THE_SURROUNDINGS, *(each for each in os.environ if each.lower().endswith("_proxy"))):
        os.environ.pop(name, None)
    if environment_language() != "en":
        os.environ["LC_ALL"] = "C.UTF-8"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together:
    """Keep the tests of a stand-in platform together; any other test goes to whichever worker is free."""
    from tests.support.scheduler import Together  # noqa: PLC0415 - only where xdist is in use

    return Together(config, log, lambda nodeid: _named(TOGETHER, nodeid) or _platform(nodeid) or nodeid)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a test of a stand-in that `ON_A_STANDIN` does not name: it would start one more platform.

    For another major version of PostgreSQL, run every test that clones a database, and nothing else.
    """
    if (major := other_major()) is not None:
        kept = [item for item in items if "clone" in getattr(item, "fixturenames", ()) and _since(item) <= major]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
    for item in items:
        if "standin" in getattr(item, "fixturenames", ()) and not _platform(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} uses the stand-in platform: name it in tests/conftest.py")


def _since(item: pytest.Item) -> int:
    marker = item.get_closest_marker("since")
    return int(marker.args[0]) if marker else 0


def _platform(nodeid: str) -> str | None:
    return _named(ON_A_STANDIN, nodeid)


def _named(groups: Mapping[str, str], nodeid: str) -> str | None:
    return next((name for start, name in groups.items() if nodeid.startswith(start)), None)


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    """The stand-in platform, up, backed up and with its tables recorded; its tests share a worker."""
    from sandbox import Sandbox, network  # noqa: PLC0415 - most tests need none of this
    from sandbox.home import SERVICES  # noqa: PLC0415
    from tests.support.standin import CANARY_STAGE, RATES, Standin  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("standin")
    base = network.free_port_base(len(SERVICES))
    with Sandbox(folder / "home", base, rate=RATES[CANARY_STAGE], canary_share=CANARY_SHARE) as sandbox:
        running = Standin(sandbox, folder)
        running.prepare_recovery()
        yield running
