"""Intent rules: candidates out of answers that were unsure and right, and rules in force that are sure and wrong.

Each candidate is judged before anybody registers it: who supports it, what contradicts it, and what past traffic
would have become under it (runbook 3, "Intent Rule 승격").
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.language.message import Message, join, say
from opsverify.llmops.personal_data import without_personal_data

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Sequence

    from opsverify.llmops.utterance import Pattern

SURE: Final = 0.8
"""Confidence from which on an answer counts as sure (runbook 3)."""
_SHOWN: Final = 5


@dataclass(frozen=True)
class Spoken:
    """One logged utterance: when, by whom, what was understood with which confidence, and the thumb (1, -1, None)."""

    at: dt.datetime
    user: str
    utterance: str
    intent: str
    confidence: float
    feedback: int | None


@dataclass(frozen=True)
class Support:
    """How much a candidate has to be supported: utterances, distinct users, distinct days."""

    utterances: int = 5
    users: int = 3
    days: int = 3


@dataclass(frozen=True)
class Changed:
    """What the replay of past traffic changes: an utterance, its intent as logged, and its thumb."""

    utterance: str
    was: str
    feedback: int | None


@dataclass(frozen=True)
class Candidate:
    """A rule that could be added: utterances of `pattern` mean `intent`."""

    pattern: Pattern
    intent: str
    utterances: tuple[str, ...]
    users: int
    days: int
    changed: tuple[Changed, ...]
    conflicts: tuple[tuple[str, int], ...]
    support: Support

    @property
    def worse(self) -> dict[str, int]:
        """By intent as logged: utterances that were right and would become something else."""
        return dict(Counter(one.was for one in self.changed if one.feedback == 1))

    @property
    def holds(self) -> tuple[Message, ...]:
        """Why it is not to be registered; none: it may be."""
        wanted, found = self.support, []
        for name, count, least in (
            (say("utterances"), len(self.utterances), wanted.utterances),
            (say("users"), self.users, wanted.users),
            (say("days"), self.days, wanted.days),
        ):
            if count < least:
                found.append(say("{count} {name}, {least} needed", count=count, name=name, least=least))
        found += [
            say("{count} right answers of {intent} would change", count=count, intent=intent)
            for intent, count in self.worse.items()
        ]
        found += [
            say("{count} people meant {intent} by it", count=count, intent=intent) for intent, count in self.conflicts
        ]
        return tuple(found)

    @property
    def text(self) -> Message:
        """One line."""
        what = say("{pattern} -> {intent}", pattern=self.pattern, intent=self.intent)
        return say("{what}: {reasons}", what=what, reasons=join("; ", self.holds)) if self.holds else what


@dataclass(frozen=True)
class WrongRule:
    """A rule in force that is sure, and that people call wrong."""

    pattern: Pattern
    intent: str
    wrong: int
    judged: int
    users: int
    example: str

    @property
    def text(self) -> Message:
        """One line."""
        return say(
            "{pattern} is taken for {intent}: {wrong} of {judged} judged wrong by {users} users, such as {example!r}",
            pattern=self.pattern, intent=self.intent, wrong=self.wrong, judged=self.judged, users=self.users,
            example=self.example,
        )  # fmt: skip


@dataclass(frozen=True)
class IntentReview:
    """What a week of utterances says: candidates, rules to be taken back, and how much was read."""

    read: int
    judged: int
    candidates: tuple[Candidate, ...]
    wrong: tuple[WrongRule, ...]

    @property
    def promoted(self) -> tuple[Candidate, ...]:
        """Candidates that may be registered."""
        return tuple(one for one in self.candidates if not one.holds)

    def dumps(self) -> str:
        """The candidates as a file for the learning tab, those on hold with their reasons."""
        return json.dumps([_entry(one) for one in self.candidates], indent=1, ensure_ascii=False)


def _entry(candidate: Candidate) -> dict[str, Any]:
    return {
        "pattern": str(candidate.pattern),
        "intent": candidate.intent,
        "decision": "hold" if candidate.holds else "promote",
        "reasons": [one.en for one in candidate.holds],
        "utterances": list(dict.fromkeys(map(without_personal_data, candidate.utterances)))[:_SHOWN],
        "count": len(candidate.utterances),
        "users": candidate.users,
        "days": candidate.days,
        "replay": [{**vars(one), "utterance": without_personal_data(one.utterance)} for one in candidate.changed],
    }


def review_intents(
    spoken: Sequence[Spoken],
    pattern_of: Callable[[str], Pattern | None],
    support: Support,
    wrong_share: float = 0.5,
) -> IntentReview:
    """Review logged utterances.

    A candidate is a pattern that was understood with less confidence than `SURE` and a thumb up. A rule in force is
    wrong where at least `support.utterances` sure answers to a pattern were judged, by `support.users` users or more,
    and `wrong_share` of them were thumbs down.
    """
    known: dict[str, Pattern | None] = {}
    groups: dict[Pattern, list[Spoken]] = defaultdict(list)
    for one in spoken:
        if one.utterance not in known:
            known[one.utterance] = pattern_of(one.utterance)
        pattern = known[one.utterance]
        if pattern is not None:
            groups[pattern].append(one)
    candidates = [found for pattern, group in groups.items() if (found := _candidate(pattern, group, support))]
    wrong = [found for pattern, group in groups.items() for found in _wrong(pattern, group, support, wrong_share)]
    return IntentReview(
        len(spoken),
        sum(one.feedback is not None for one in spoken),
        tuple(sorted(candidates, key=lambda one: -len(one.utterances))),
        tuple(sorted(wrong, key=lambda one: -one.wrong)),
    )


def _candidate(pattern: Pattern, group: Sequence[Spoken], support: Support) -> Candidate | None:
    liked = [one for one in group if one.confidence < SURE and one.feedback == 1]
    if not liked:
        return None
    votes = Counter(one.intent for one in liked)
    intent, _ = votes.most_common(1)[0]
    backing = [one for one in liked if one.intent == intent]
    return Candidate(
        pattern,
        intent,
        tuple(one.utterance for one in backing),
        len({one.user for one in backing}),
        len({one.at.date() for one in backing}),
        tuple(Changed(one.utterance, one.intent, one.feedback) for one in group if one.intent != intent),
        tuple((other, _users(liked, other)) for other in votes if other != intent),
        support,
    )


def _users(spoken: Iterable[Spoken], intent: str) -> int:
    return len({one.user for one in spoken if one.intent == intent})


def _wrong(pattern: Pattern, group: Sequence[Spoken], support: Support, share: float) -> Iterable[WrongRule]:
    sure: dict[str, list[Spoken]] = defaultdict(list)
    for one in group:
        if one.confidence >= SURE and one.feedback is not None:
            sure[one.intent].append(one)
    for intent, judged in sure.items():
        disliked = [one for one in judged if one.feedback == -1]
        users = len({one.user for one in disliked})
        enough = len(judged) >= support.utterances and users >= support.users
        if enough and len(disliked) >= share * len(judged):
            yield WrongRule(
                pattern, intent, len(disliked), len(judged), users, without_personal_data(disliked[0].utterance)
            )
