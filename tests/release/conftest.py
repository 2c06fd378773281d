"""A target that can be acted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.release.ordered import platform_in

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.release.execute import Platform


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """Make the target with two steps to roll back and one to promote."""
    return platform_in(tmp_path)
