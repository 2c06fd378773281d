"""What tests of several folders share: one running stand-in platform for those that need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from standin import Standin
    from xdist.scheduler import LoadScopeScheduling

RATE = 40.0
CANARY_SHARE = 0.16
ON_THE_STANDIN = ("tests/act/test_act_on_sandbox.py", "tests/e2e/", "tests/proof/test_faults.py")
"""Where tests of the stand-in platform are: one worker runs them all, on one platform."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Keep the stand-in's tests together; any other test goes to whichever worker is free.

    Not by `--dist loadgroup`: since pytest 9.2 the suffix of a node id by which xdist 3.8 tells groups apart is lost.
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where xdist is in use

    class OnePlatform(LoadScopeScheduling):  # type: ignore[misc] - xdist ships no types
        def _split_scope(self, nodeid: str) -> str:
            return "stand-in" if nodeid.startswith(ON_THE_STANDIN) else nodeid

    return OnePlatform(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test of the stand-in that `ON_THE_STANDIN` does not name: it would start a second platform."""
    for item in items:
        if "standin" in getattr(item, "fixturenames", ()) and not item.nodeid.startswith(ON_THE_STANDIN):
            raise pytest.UsageError(f"{item.nodeid} uses the stand-in platform: name it in tests/conftest.py")


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    """The stand-in platform, up, backed up and with its tables recorded; its tests share one worker."""
    from standin import Standin  # noqa: PLC0415

    from sandbox import Sandbox, network  # noqa: PLC0415 - most tests need none of this
    from sandbox.home import SERVICES  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("standin")
    base = network.free_port_base(len(SERVICES))
    with Sandbox(folder / "home", base, rate=RATE, canary_share=CANARY_SHARE) as sandbox:
        running = Standin(sandbox, folder)
        running.prepare_recovery()
        yield running
