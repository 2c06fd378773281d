"""Ports of this machine: found free by one process, and not by another at the same moment."""

from __future__ import annotations

import os
from itertools import combinations
from typing import TYPE_CHECKING

from sandbox import network

if TYPE_CHECKING:
    import pytest

WIDTH, TURNS = 13, 20


def test_processes_with_adjacent_pids_look_far_from_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of one run are started one after the other: the twentieth base of one is not yet the first of another."""
    monkeypatch.setattr(network, "is_free", lambda _: True)
    first = []
    for pid in range(4000, 4008):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        first.append(network.free_port_base(WIDTH))
    assert min(abs(one - other) for one, other in combinations(first, 2)) > WIDTH * TURNS
