"""Fixtures of the gate's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.gate_server import GateProject, LiveGate, project_in, served, tokens_text
from tests.support.oidc_issuer import OidcIssuer, oidc_issuer

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


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    """A real OIDC issuer."""
    with oidc_issuer() as running:
        yield running


@pytest.fixture
def gate(project: GateProject, issuer: OidcIssuer) -> Iterator[LiveGate]:
    """A server with one rule, for jobs of one repository."""
    (project.folder / "tokens.toml").write_text(f"{tokens_text()}\n{issuer.rule()}", encoding="utf-8")
    with served(project) as running:
        yield running
