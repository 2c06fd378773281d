"""Failure cases for few-shot examples: representative ones, none with personal data, none that the evaluation holds.

An example that stands in the evaluation set as well would make the evaluation measure its memory.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.llmops.personal_data import personal_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opsverify.llmops.intent_rules import Spoken
    from opsverify.llmops.morphemes import Morpheme
    from opsverify.llmops.utterance import Pattern

UNSURE: Final = 0.5
"""Confidence below which an answer counts as missed (runbook 3)."""
_ALIKE: Final = 0.8
_WORDS: Final = ("NN", "VV", "VA", "SL", "MAG", "XR")


@dataclass(frozen=True)
class FailureCases:
    """Chosen cases, the largest group first; how many failed, in how many groups, and why others were passed over."""

    chosen: tuple[Spoken, ...]
    failed: int
    groups: int
    personal: int
    evaluated: int

    def dumps(self) -> str:
        """The cases as a file for the few-shot examples."""
        chosen = [
            {"utterance": one.utterance, "intent": one.intent, "confidence": one.confidence} for one in self.chosen
        ]
        return json.dumps({**vars(self), "chosen": chosen}, indent=1, ensure_ascii=False)


def choose(
    spoken: Iterable[Spoken],
    evaluation: Iterable[str],
    split: Callable[[str], Sequence[Morpheme]],
    pattern_of: Callable[[Sequence[Morpheme]], Pattern | None],
    most: int = 5,
) -> FailureCases:
    """Choose up to `most` utterances that were missed (confidence below `UNSURE`) or judged wrong, one a pattern.

    A case is passed over where it holds personal data, or shares `_ALIKE` of its words with a case of `evaluation`
    or with one already chosen.
    """
    failed = [one for one in spoken if one.confidence < UNSURE or one.feedback == -1]
    words = {one.utterance: _content(split(one.utterance)) for one in failed}
    groups: dict[Pattern | None, list[Spoken]] = defaultdict(list)
    for one in failed:
        groups[pattern_of(split(one.utterance))].append(one)
    held = [_content(split(text)) for text in evaluation]
    chosen: list[Spoken] = []
    personal = evaluated = 0
    for group in sorted(groups.values(), key=len, reverse=True):
        for one in group:
            if personal_data(one.utterance):
                personal += 1
            elif any(_alike(words[one.utterance], other) for other in held):
                evaluated += 1
            elif not any(_alike(words[one.utterance], words[other.utterance]) for other in chosen):
                chosen.append(one)
                break
        if len(chosen) == most:
            break
    return FailureCases(tuple(chosen), len(failed), len(groups), personal, evaluated)


def _content(morphemes: Sequence[Morpheme]) -> frozenset[str]:
    return frozenset(one.form for one in morphemes if one.tag.startswith(_WORDS))


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Jaccard similarity of the words; two without words are alike."""
    whole = one | other
    return not whole or len(one & other) / len(whole) >= _ALIKE
