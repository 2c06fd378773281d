"""Pattern of an utterance: what it asks for, whether it says not to, and whether it is a request or a question.

Politeness, spacing and what it is about have no part in a pattern: `불량률 분석해줘`, `분석 좀 해줄래?` are one. A
command, its negation and a question about it are three: `멈춰줘`, `멈추지 마`, `왜 멈췄어?`.
Tags: Sejong set as kiwipiepy gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opsverify.llmops.morphemes import Morpheme

Mood = Literal["command", "question", "statement"]

_VERBS: Final = frozenset({"VV", "VA"})
_MAKERS: Final = frozenset({"XSV", "XSA"})
_LIGHT: Final = frozenset({"하", "되", "시키", "부탁"})
"""Verbs that say nothing by themselves: the noun before them does."""
_NOT: Final = frozenset({("안", "MAG"), ("못", "MAG"), ("말", "VX"), ("않", "VX"), ("말", "VV"), ("아니", "VCN")})
_FORBIDS: Final = frozenset({"되", "돼"})
_ASKS: Final = frozenset({"왜", "어떻게", "언제", "어디", "누구", "뭐", "무엇", "몇", "얼마", "얼마나", "어느", "무슨"})
_BETWEEN: Final = frozenset({"MAG", "JKO", "JX", "MM"})
_REQUESTS: Final = ("세요", "십시오", "ᆸ시오", "라", "자", "려", "ᆯ래", "을래", "ᆯ래요", "을래요", "ᆯ까", "ᆯ까요")


@dataclass(frozen=True, order=True)
class Pattern:
    """What an utterance asks for: the stem of its last verb, or the noun that a light verb carries."""

    predicate: str
    negated: bool
    mood: Mood

    def __str__(self) -> str:
        return f"{'not ' if self.negated else ''}{self.predicate} ({self.mood})"


def pattern_of(morphemes: Sequence[Morpheme]) -> Pattern | None:
    """Return the pattern of a split utterance; None where it has neither a verb nor a noun."""
    at = _last_verb(morphemes)
    if at is None:
        nouns = [one.form for one in morphemes if one.tag.startswith("NN")]
        return Pattern(nouns[-1], _negated(morphemes), _mood(morphemes)) if nouns else None
    return Pattern(_predicate(morphemes, at), _negated(morphemes), _mood(morphemes))


def _last_verb(morphemes: Sequence[Morpheme]) -> int | None:
    found = [at for at, one in enumerate(morphemes) if one.tag in _VERBS | _MAKERS and not _forbids(morphemes, at)]
    # `보여줄 수 있어?`: the ability is a form of politeness, the verb before it is meant.
    able = [at for at in found if at and morphemes[at].form == "있" and morphemes[at - 1].form == "수"]
    return max((at for at in found if at not in able), default=None)


def _forbids(morphemes: Sequence[Morpheme], at: int) -> bool:
    """Whether the verb at `at` is that of `하면 안 돼`."""
    return at > 0 and morphemes[at].form in _FORBIDS and morphemes[at - 1].form == "안"


def _predicate(morphemes: Sequence[Morpheme], at: int) -> str:
    verb = morphemes[at]
    light = verb.tag in _MAKERS or verb.form in _LIGHT
    nouns = list(_nouns_before(morphemes, at)) if light else []
    while len(nouns) > 1 and nouns[0] in _LIGHT:  # 분석 부탁해요
        nouns = nouns[1:]
    return nouns[0] if nouns else verb.form


def _nouns_before(morphemes: Sequence[Morpheme], at: int) -> Iterator[str]:
    """The nouns that stand before a verb, nearest first, with particles and adverbs between passed over."""
    for one in reversed(morphemes[:at]):
        if one.tag in {"NNG", "XR"}:
            yield one.form
        elif one.tag not in _BETWEEN:
            return


def _negated(morphemes: Sequence[Morpheme]) -> bool:
    return any((one.form, one.tag) in _NOT for one in morphemes)


def _mood(morphemes: Sequence[Morpheme]) -> Mood:
    forms = {one.form for one in morphemes}
    if forms & _ASKS:
        return "question"
    gives = any((one.form, one.tag) == ("주", "VX") for one in morphemes)
    ends = [one.form for one in morphemes if one.tag == "EF"]
    if gives or "부탁" in forms or any(end.startswith(_REQUESTS) for end in ends):
        return "command"
    past = any(one.tag == "EP" and one.form in {"었", "았", "였"} for one in morphemes)
    if any(one.tag == "SF" and one.form == "?" for one in morphemes):
        return "question"
    # `멈춰` alone is said to somebody who is to do it.
    verbs = any(one.tag in _VERBS - {"VA"} or one.tag in _MAKERS for one in morphemes)
    return "command" if verbs and not past else "statement"
