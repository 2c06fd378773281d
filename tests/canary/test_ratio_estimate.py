"""Ratios of totals: what they are, and how far chance alone may move them."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.canary.ratio_estimate import growth, ratio

TOTALS = st.lists(st.floats(min_value=0.01, max_value=1e9), min_size=2, max_size=80)


def judgments(generator: random.Random, rate: float, price: float, steps: int) -> tuple[list[float], list[float]]:
    """Cost and number of judgments by step: a number that varies, of which a third asks the LLM at `price`."""
    number = [sum(generator.random() < 0.5 for _ in range(round(2 * rate))) for _ in range(steps)]
    cost = [price * sum(generator.random() < 1 / 3 for _ in range(each)) for each in number]
    return cost, [float(each) for each in number]


@given(TOTALS, st.floats(min_value=0.001, max_value=1000))
def test_a_steady_ratio_is_known_exactly(wholes: list[float], share: float) -> None:
    """What is the same in every step has no room for chance."""
    found = ratio([share * whole for whole in wholes], wholes)
    assert found.value == pytest.approx(share)
    assert found.high - found.low == pytest.approx(0.0, abs=1e-6 * share)


@given(st.lists(st.tuples(*[st.floats(min_value=0, max_value=1e12)] * 4), max_size=40))
def test_the_value_lies_in_its_interval(steps: list[tuple[float, float, float, float]]) -> None:
    """Whatever the totals, no crash, and no interval without its value."""
    parts, wholes, base_parts, base_wholes = ([step[n] for step in steps] for n in range(4))
    for found in (ratio(parts, wholes), growth(parts, wholes, base_parts, base_wholes)):
        assert math.isnan(found.value) or found.low <= found.value <= found.high


def test_one_step_has_no_spread() -> None:
    """A single pair has no spread to measure: its interval is unbounded."""
    assert (ratio([1.0], [4.0]).value, ratio([1.0], [4.0]).high) == (0.25, math.inf)
    assert growth([1.0], [4.0], [1.0, 1.1], [4.0, 4.0]).high == math.inf


def test_nothing_judged_has_no_value() -> None:
    """No whole, no ratio; a baseline that costs nothing, no growth."""
    assert math.isnan(ratio([0.0, 0.0], [0.0, 0.0]).value)
    assert math.isnan(growth([1.0, 1.0], [2.0, 2.0], [0.0, 0.0], [9.0, 9.0]).value)


@pytest.mark.parametrize("steps", [8, 80])
def test_chance_alone_seldom_proves_a_growth(steps: int) -> None:
    """Canary and baseline alike: often measured dearer, hardly ever proven so; at ten times the price always."""
    generator = random.Random(20261124)  # noqa: S311 - no secret
    alike, dearer = [], []
    for _ in range(300):
        baseline = judgments(generator, 25.0, 1.0, steps)
        alike.append(growth(*judgments(generator, 5.0, 1.0, steps), *baseline))
        dearer.append(growth(*judgments(generator, 5.0, 10.0, steps), *baseline))
    assert sum(found.low > 1.2 for found in alike) <= 3
    assert sum(found.low > 1.2 for found in dearer) >= 297
    if steps == 8:
        assert sum(found.value > 1.2 for found in alike) > 30
