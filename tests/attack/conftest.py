"""Servers of these tests, those of the probes' own tests; and signals as a run of its own has them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.probes.probe_servers import certificate_of, cluster, fake, recorder, stopped_cluster
from tests.pytest_plugin.conftest import suite

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["certificate_of", "cluster", "fake", "recorder", "stopped_cluster", "suite"]


@pytest.fixture(scope="session", autouse=True)
def hangup_ends() -> Iterator[None]:
    """SIGHUP ends the runs of these tests, also where they were started by `nohup`, which every child inherits."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
