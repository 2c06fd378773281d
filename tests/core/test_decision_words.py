"""Words for a decision: each decision of the contract has them, in both languages."""

from __future__ import annotations

import pytest

from opsverify.core.decision_words import DECISIONS, capitals
from opsverify.core.stages import Decision


@pytest.mark.parametrize("decision", list(Decision))
def test_every_decision_has_its_words(decision: Decision) -> None:
    """The terminal and notifications show the contract's word, in Korean after the Korean one."""
    assert capitals(decision).en == decision.upper()
    assert capitals(decision).ko == f"{DECISIONS[decision].ko} {decision.upper()}"
    assert DECISIONS[decision].ko != DECISIONS[decision].en


def test_another_word_is_shown_as_it_is() -> None:
    """A file of a later version may have one."""
    assert capitals("paused").ko == capitals("paused").en == "PAUSED"
