"""Fixtures: a project whose daily stage accepts, run whole."""

from tests.pytest_plugin.conftest import suite

__all__ = ["suite"]
