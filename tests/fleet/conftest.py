"""A fleet that was planned, for the tests of its merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.fleets import MadeFleet, made_fleet

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeFleet:
    """A plan of three targets; the working directory is its project."""
    made = made_fleet(tmp_path / "project", 3)
    monkeypatch.chdir(made.project)
    return made
