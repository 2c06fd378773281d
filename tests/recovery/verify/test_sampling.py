"""Bounds that a sample proves: the arithmetic against its definition, and a simulation against the promise."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.recovery.verify.sampling import bound, draw, draws_needed

CONFIDENCES = st.floats(0.5, 0.9999)


@given(st.integers(2, 10**9), CONFIDENCES)
def test_the_draws_needed_are_enough_and_no_more(one_in: int, confidence: float) -> None:
    """With them the bound is at most 1 in N; with one in a hundred fewer it is not."""
    needed = draws_needed(one_in, confidence)
    assert bound(needed, confidence) <= 1 / one_in
    fewer = needed - max(1, needed // 100)
    assert fewer < 1 or bound(fewer, confidence) > 1 / one_in


@given(st.integers(1, 10**6), CONFIDENCES)
def test_the_bound_is_the_clopper_pearson_limit(draws: int, confidence: float) -> None:
    """At the bound, drawing nothing bad has probability 1 - confidence exactly."""
    assert (1 - bound(draws, confidence)) ** draws == pytest.approx(1 - confidence, rel=1e-6)


def test_known_values() -> None:
    """The rule of three, and the auditors' table: 4,603 draws for 1 in 1,000 at 99 %."""
    assert bound(1000, 0.95) == pytest.approx(3 / 1000, rel=0.01)
    assert draws_needed(1000, 0.99) == 4603
    assert draws_needed(2, 0.5) == 1


@given(st.dictionaries(st.text(), st.integers(0, 10**6), min_size=1), st.integers(1, 500), st.integers())
def test_a_seed_draws_the_same_buckets_again(rows: dict[str, int], draws: int, seed: int) -> None:
    """Buckets that hold rows, and no others; a sample that was recorded can be drawn again."""
    if not any(rows.values()):
        with pytest.raises(ValueError, match="no recorded rows"):
            draw(rows, draws, seed)
        return
    drawn = draw(rows, draws, seed)
    assert drawn == draw(rows, draws, seed)
    assert all(rows[key] for key in drawn)
    assert len(drawn) <= draws


def test_damage_of_the_promised_share_is_missed_as_rarely_as_promised() -> None:
    """1 in 20 rows changed, wherever: of 2,000 samples for 1 in 20 at 95 %, about 5 % see none of it, never more."""
    chosen = random.Random(20261124)  # noqa: S311 - a simulation
    rows: dict[object, int] = {bucket: chosen.randint(1, 50) for bucket in range(400)}
    every = [bucket for bucket, count in rows.items() for _ in range(count)]
    bad: set[object] = set()  # whole buckets lost, the worst case: changed rows alone in their buckets show more often
    while sum(rows[bucket] for bucket in bad) < len(every) / 20:
        bad.add(chosen.choice(every))
    draws = draws_needed(20, 0.95)
    missed = sum(1 for seed in range(2000) if bad.isdisjoint(draw(rows, draws, seed)))
    assert missed / 2000 < 0.065  # 0.05 and three standard deviations


@pytest.mark.parametrize(("one_in", "confidence"), [(1, 0.99), (10, 0), (10, 1), (10, 1.5)])
def test_nonsense_is_refused(one_in: int, confidence: float) -> None:
    """Nothing is proven by no draws, and nothing with certainty."""
    with pytest.raises(ValueError, match="expected"):
        draws_needed(one_in, confidence)
    with pytest.raises(ValueError, match="prove nothing"):
        bound(0, 0.99)
