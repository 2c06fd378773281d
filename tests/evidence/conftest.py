"""Fixtures: a project whose daily stage accepts, run whole; authorities of time stamps."""

from tests.pytest_plugin.conftest import suite
from tests.support.stamped_runs import authority, earlier

__all__ = ["authority", "earlier", "suite"]
