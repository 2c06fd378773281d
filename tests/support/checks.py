"""A loaded target and a check whose evidence is kept in a list."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from opsverify.core.check import Check
from opsverify.core.plan import Planned
from tests.support.target_file import target_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.config.model import Target


class Kept:
    """Evidence that is only kept."""

    def __init__(self) -> None:
        self.attached: list[tuple[str, str]] = []
        self.steps: list[str] = []

    def attach(self, name: str, body: str, kind: str = "text") -> None:  # noqa: ARG002 - the protocol's
        """Keep one attachment."""
        self.attached.append((name, body))

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Keep a step's title."""
        self.steps.append(title)
        yield


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """Load the smallest target."""
    return target_in(tmp_path)


@pytest.fixture
def check(target: Target) -> Check:
    """Make a check that has measured nothing yet."""
    planned = Planned("t.case", "점검", "A check", ("1-daily/llm",), "sev2", "me")
    return Check(planned, target, Kept())
