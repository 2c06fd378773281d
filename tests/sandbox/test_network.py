"""Free ports: processes that look for one at the same moment do not find the same."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest

from sandbox import network


@pytest.mark.parametrize("first", [1000, 4_000_000])
@pytest.mark.parametrize("width", [1, 2, 10])
def test_processes_started_together_look_far_apart(monkeypatch: pytest.MonkeyPatch, first: int, width: int) -> None:
    """Each takes several in turn, and what it takes is bound a while later only: none may come to another one's."""
    monkeypatch.setattr(network, "is_free", lambda _port: True)
    bases = []
    for number in range(first, first + 8):
        monkeypatch.setattr(os, "getpid", lambda number=number: number)
        bases.append(network.free_port_base(width))
    assert min(later - earlier for earlier, later in pairwise(sorted(bases))) >= 50 * width
