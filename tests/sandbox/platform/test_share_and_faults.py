"""The split between tracks, and whom a fault hits."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.home import Control, ControlState
from sandbox.platform.faults import Faults, Share

if TYPE_CHECKING:
    from pathlib import Path


@given(st.floats(min_value=0, max_value=1), st.integers(min_value=0, max_value=400))
def test_the_share_is_exact_in_every_window(share: float, skipped: int) -> None:
    """Of any n picks in a row, n * share are made, give or take one."""
    picker = Share()
    for _ in range(skipped):
        picker.pick(share)
    picked = 0
    for number in range(1, 200):
        picked += picker.pick(share)
        assert abs(picked - number * share) < 1 + 1e-6


def test_a_share_of_nothing_or_all_is_just_that() -> None:
    """0 picks none and 1 picks every one."""
    picker = Share()
    assert not any(picker.pick(0.0) for _ in range(50))
    assert all(picker.pick(1.0) for _ in range(50))


def test_picks_are_spread_evenly() -> None:
    """The gaps between picks differ by at most one."""
    picker = Share()
    places = [number for number in range(1000) if picker.pick(0.15)]
    gaps = {later - earlier for earlier, later in pairwise(places)}
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("scope", "track", "hit"),
    [
        ("all", "stable", True),
        ("all", "canary", True),
        ("all", "", True),
        ("canary", "canary", True),
        ("canary", "stable", False),
        ("canary", "", False),
        ("stable", "canary", False),
    ],
)
def test_a_fault_hits_its_scope_only(tmp_path: Path, scope: str, track: str, *, hit: bool) -> None:
    """A canary fault spares the stable track and callers that name none."""
    Control(tmp_path).write(ControlState(faults={"latency": scope}))
    assert Faults(tmp_path, track).on("latency") is hit
    assert Faults(tmp_path).on("latency", track) is hit
    assert not Faults(tmp_path, track).on("error_rate")


def test_a_change_is_seen_at_once(tmp_path: Path) -> None:
    """The next question after a write gets the new answer."""
    faults, control = Faults(tmp_path, "stable"), Control(tmp_path)
    assert not faults.on("latency")
    for on in (True, False, True):
        control.write(ControlState(faults={"latency": "all"} if on else {}))
        assert faults.on("latency") is on
