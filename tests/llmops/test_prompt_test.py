"""Paired test of two prompt versions: exact, and says how many cases it would take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from opsverify.llmops.prompt_test import ALPHA, PairedResult, at_least, compare


def results(right: int, of: int) -> dict[str, bool]:
    """The first `right` of `of` cases are right."""
    return {f"case-{number}": number < right for number in range(of)}


def test_one_more_of_thirty_proves_nothing() -> None:
    """28 of 30 to 29 of 30 holds, and says how many cases are needed."""
    found = compare(results(28, 30), results(29, 30))
    assert (found.gained, found.lost, found.both, found.never) == (1, 0, 28, ("case-29",))
    assert (found.decision, found.p_better, found.needed) == ("hold", 0.5, 150)


@pytest.mark.parametrize(
    ("gained", "lost", "decision"),
    [(5, 0, "promote"), (4, 0, "hold"), (0, 5, "rollback"), (8, 1, "promote"), (7, 2, "hold"), (0, 0, "hold")],
)
def test_decisions(gained: int, lost: int, decision: str) -> None:
    """At an error of 5 %, by hand: 2^-5 = 3.1 %, 2^-4 = 6.3 %, (1 + 9) / 512 = 2.0 %, (1 + 9 + 36) / 512 = 9.0 %."""
    assert PairedResult(gained, lost, 20, ()).decision == decision


def test_no_number_of_cases_proves_what_is_not_better() -> None:
    """As many lost as gained."""
    assert PairedResult(3, 3, 10, ()).needed is None


def test_a_case_that_one_version_was_not_tried_on_is_left_out() -> None:
    """It is no pair."""
    assert compare({"a": True, "b": True}, {"b": True, "c": False}).cases == 1


@given(some.integers(0, 60), some.integers(0, 60))
def test_the_tails_add_up(successes: int, failures: int) -> None:
    """P(X >= k) + P(X >= n - k + 1) = 1 for a fair coin, and the error of either decision is at most alpha."""
    trials = successes + failures
    assert at_least(successes, trials) + at_least(failures + 1, trials) == pytest.approx(1)
    result = PairedResult(successes, failures, 0, ())
    assert (result.decision == "promote") == (result.p_better <= ALPHA)
    assert not (result.p_better <= ALPHA and result.p_worse <= ALPHA)
    if result.needed is not None:
        assert result.needed >= result.cases * (result.decision != "promote")
