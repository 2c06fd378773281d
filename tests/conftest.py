"""What tests of several folders share: one running stand-in platform for those that need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from standin import Standin

RATE = 25.0
CANARY_SHARE = 0.18


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
