"""Review of intent rules: candidates with what speaks for and against them, and rules in force that are wrong."""

from __future__ import annotations

import datetime as dt
import json

from hypothesis import given
from hypothesis import strategies as some

from opsverify.llmops.intent_rules import SURE, IntentReview, Spoken, Support, review_intents
from opsverify.llmops.utterance import Pattern

START = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
SUPPORT = Support(utterances=5, users=3, days=3)


def said(
    count: int, *, intent: str = "bi_insight", confidence: float = 0.6, feedback: int | None = 1, users: int = 5,
    days: int = 5, text: str = "분석해줘",
) -> list[Spoken]:  # fmt: skip
    """Utterances of one kind, spread over users and days."""
    return [
        Spoken(START + dt.timedelta(days=n % days), f"user-{n % users}", text, intent, confidence, feedback)
        for n in range(count)
    ]


def reviewed(*groups: list[Spoken]) -> IntentReview:
    """The review, with each text as its own pattern."""
    spoken = [one for group in groups for one in group]
    return review_intents(spoken, lambda text: Pattern(text, negated=False, mood="command"), SUPPORT)


def test_unsure_and_right_is_a_candidate() -> None:
    """Supported by enough utterances, users and days, and changing nothing that was right."""
    (candidate,) = reviewed(said(10)).candidates
    assert (candidate.intent, candidate.users, candidate.days, candidate.holds) == ("bi_insight", 5, 5, ())
    assert reviewed(said(10, confidence=SURE)).candidates == ()
    assert reviewed(said(10, feedback=-1)).candidates == ()
    assert reviewed(said(10, feedback=None)).candidates == ()


def test_fifty_thumbs_of_one_user_hold() -> None:
    """Trap 30: one person is no majority, and is named."""
    review = reviewed(said(50, users=1))
    (candidate,) = review.candidates
    assert [hold.en for hold in candidate.holds] == ["1 users, 3 needed"]
    assert review.promoted == ()


def test_better_in_total_and_worse_for_one_intent_holds() -> None:
    """Trap 30: the intent that would lose is named, with how many."""
    right_as_it_is = said(4, intent="alarm_status", confidence=0.95)
    gains = said(40, intent="smalltalk", confidence=0.9, feedback=-1)
    review = reviewed(said(30), right_as_it_is, gains)
    (candidate,) = review.candidates
    assert candidate.worse == {"alarm_status": 4}
    assert [hold.en for hold in candidate.holds] == ["4 right answers of alarm_status would change"]
    assert len(candidate.changed) == 44


def test_people_who_mean_different_things_are_a_conflict() -> None:
    """The same words with another intent, and a thumb up for both."""
    (candidate,) = reviewed(said(10), said(4, intent="root_cause", users=2)).candidates
    assert candidate.conflicts == (("root_cause", 2),)
    assert "2 people meant root_cause by it" in [hold.en for hold in candidate.holds]


def test_sure_and_wrong_is_a_rule_to_take_back() -> None:
    """Where enough people say so; a single user's thumbs, or a minority's, are not enough."""
    wrong = {"confidence": 0.93, "feedback": -1, "intent": "smalltalk"}
    (rule,) = reviewed(said(8, **wrong)).wrong  # type: ignore[arg-type]
    assert (rule.intent, rule.wrong, rule.judged) == ("smalltalk", 8, 8)
    assert reviewed(said(8, users=1, **wrong)).wrong == ()  # type: ignore[arg-type]
    assert reviewed(said(8, **wrong), said(20, intent="smalltalk", confidence=0.93)).wrong == ()  # type: ignore[arg-type]


def test_the_file_has_every_candidate_with_its_decision() -> None:
    """What the learning tab takes, and what it may not."""
    entries = json.loads(reviewed(said(10), said(50, users=1, text="멈춰줘")).dumps())
    assert {entry["decision"] for entry in entries} == {"promote", "hold"}
    assert all(entry["reasons"] for entry in entries if entry["decision"] == "hold")


SPOKEN = some.lists(
    some.builds(
        Spoken,
        at=some.integers(0, 6).map(lambda day: START + dt.timedelta(days=day)),
        user=some.sampled_from("abcd"),
        utterance=some.sampled_from(["분석해줘", "멈춰줘"]),
        intent=some.sampled_from(["one", "two"]),
        confidence=some.sampled_from([0.4, 0.79, 0.8, 0.95]),
        feedback=some.sampled_from([1, -1, None]),
    ),
    max_size=60,
)


@given(SPOKEN)
def test_a_candidate_that_may_be_registered_changes_no_right_answer(spoken: list[Spoken]) -> None:
    """Whatever was said: the replay under the old and the new rules differs only where nobody was content."""
    for candidate in reviewed(spoken).promoted:
        mine = [one for one in spoken if one.utterance == candidate.pattern.predicate]
        assert all(one.intent == candidate.intent for one in mine if one.feedback == 1)
        assert candidate.users >= SUPPORT.users
        assert candidate.days >= SUPPORT.days
        assert len(candidate.utterances) >= SUPPORT.utterances


def test_no_personal_data_reaches_the_evidence() -> None:
    """Neither the file for the learning tab nor a message repeats a number that is a person's."""
    number = "010-1234-5678"
    text = f"{number}로 알려줘"
    wrong = said(8, text=text, confidence=0.93, feedback=-1, intent="smalltalk")
    pattern = Pattern("알리", negated=False, mood="command")
    review = review_intents([*said(10, text=text), *wrong], lambda _: pattern, SUPPORT)
    assert number not in review.dumps()
    assert number not in review.wrong[0].text.en
    assert "phone number" in review.dumps()
