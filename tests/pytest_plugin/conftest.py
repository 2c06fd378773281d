"""A fresh project for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pytest_plugin.suite import Suite

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Make a project whose daily stage passes."""
    return Suite.make(tmp_path / "project")
