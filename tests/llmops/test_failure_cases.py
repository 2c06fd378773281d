"""Failure cases: the largest groups first, one of each, nothing personal, nothing that the evaluation holds."""

from __future__ import annotations

import datetime as dt

from opsverify.llmops.failure_cases import FailureCases, choose
from opsverify.llmops.intent_rules import Spoken
from opsverify.llmops.morphemes import analyser
from opsverify.llmops.utterance import pattern_of

AT = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


def chosen(texts: list[str], evaluation: tuple[str, ...] = (), confidence: float = 0.4, **more: int) -> FailureCases:
    """The choice among utterances that all failed."""
    spoken = [Spoken(AT, "a", text, "smalltalk", confidence, None) for text in texts]
    return choose(spoken, evaluation, analyser(), pattern_of, **more)


def test_one_of_each_group_the_largest_first() -> None:
    """Polite variants are one group."""
    found = chosen(["라인 세워줘", "불량률 분석해줘", "수율 분석해주세요", "왜 멈췄어?"])
    assert (found.failed, found.groups) == (4, 3)
    assert [one.utterance for one in found.chosen] == ["불량률 분석해줘", "라인 세워줘", "왜 멈췄어?"]


def test_nothing_personal_and_nothing_evaluated() -> None:
    """The next one of the group is taken instead; what was passed over is counted."""
    found = chosen(["010-1234-5678로 알려줘", "알람을 알려줘", "불량률 분석해 주세요"], ("불량률 분석해줘",))
    assert [one.utterance for one in found.chosen] == ["알람을 알려줘"]
    assert (found.personal, found.evaluated) == (1, 1)


def test_at_most_as_many_as_asked_for() -> None:
    """Three to five examples, says the runbook."""
    texts = ["라인 세워줘", "수율 분석해줘", "알람 알려줘", "설비 멈춰줘", "온도 낮춰줘", "문 열어줘", "전원 켜줘"]
    assert len(chosen(texts).chosen) == 5
    assert len(chosen(texts, most=3).chosen) == 3


def test_sure_answers_that_nobody_called_wrong_are_no_failures() -> None:
    """Nothing is chosen out of nothing."""
    assert chosen(["라인 세워줘"], confidence=0.9).chosen == ()
