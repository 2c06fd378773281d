"""Patterns of utterances: polite variants and spacing are one; a command, its negation and a question are three."""

from __future__ import annotations

from itertools import combinations

import pytest

from opsverify.llmops.morphemes import analyser
from opsverify.llmops.utterance import Pattern, pattern_of


def patterns(*utterances: str) -> set[Pattern | None]:
    """The patterns of some utterances."""
    split = analyser()
    return {pattern_of(split(one)) for one in utterances}


@pytest.mark.parametrize(
    ("utterances", "pattern"),
    [
        (
            ("불량률 분석해줘", "분석해주세요", "분석 좀 해줄래?", "불량률분석해줘", "불량률을 분석해 주십시오",
             "분석 부탁해요", "L05 수율 분석해줘", "수율 분석을 해주세요", "분석해"),
            Pattern("분석", negated=False, mood="command"),
        ),
        (("분석하지 마", "분석하지 마세요", "분석하면 안 돼"), Pattern("분석", negated=True, mood="command")),
        (
            ("멈춰줘", "설비 멈춰", "3번 라인을 멈춰 주세요", "멈춰 주시겠어요?"),
            Pattern("멈추", negated=False, mood="command"),
        ),
        (("수율 보여줘", "수율 보여줄 수 있어?", "보여주세요"), Pattern("보이", negated=False, mood="command")),
        (("왜 불량이 늘었어?", "왜 늘었나요?"), Pattern("늘", negated=False, mood="question")),
    ],
)  # fmt: skip
def test_variants_are_one_pattern(utterances: tuple[str, ...], pattern: Pattern) -> None:
    """Trap 29, first half."""
    assert patterns(*utterances) == {pattern}


@pytest.mark.parametrize(
    "utterances",
    [
        ("멈춰줘", "멈추지 마", "왜 멈췄어?"),
        ("분석해줘", "분석하지 마", "왜 분석했어?", "분석하지 말고 알려줘"),
        ("라인 세워줘", "라인 세우지 말아줘", "라인 안 세웠어", "라인 언제 세웠어?"),
        ("정지시켜 줘", "정지하면 안 돼", "왜 정지됐어?"),
    ],
)
def test_a_command_its_negation_and_a_question_are_different(utterances: tuple[str, ...]) -> None:
    """Trap 29, second half: merging two of them would do the opposite of what was said."""
    for one, other in combinations(utterances, 2):
        assert patterns(one) != patterns(other), (one, other)


@pytest.mark.parametrize("text", ["", "?!", "123"])
def test_what_says_nothing_has_no_pattern(text: str) -> None:
    """Nothing to learn from."""
    assert patterns(text) == {None}
