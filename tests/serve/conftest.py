"""Fixtures of the gate's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.gate_server import GateProject, LiveGate, project_in, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> GateProject:
    """A project whose runs wait for their decision."""
    return GateProject(project_in(tmp_path / "project"))


@pytest.fixture
def live(project: GateProject) -> Iterator[LiveGate]:
    """Its server."""
    with served(project) as running:
        yield running
