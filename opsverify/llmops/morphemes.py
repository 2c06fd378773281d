"""Morphemes of an utterance, by kiwipiepy (extra `llmops`)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXTRA: Final = "llmops"


class Morpheme(NamedTuple):
    """One morpheme and its tag of the Sejong set (NNG: noun, VV: verb, EF: final ending, ...)."""

    form: str
    tag: str


@cache
def analyser() -> Callable[[str], Sequence[Morpheme]]:
    """Return the function that splits an utterance. Raises Inconclusive where the extra is not installed."""
    try:
        from kiwipiepy import Kiwi  # noqa: PLC0415 - an extra, with a model of 90 MB
    except ImportError as error:
        raise Inconclusive(
            say("utterances cannot be split into morphemes; install opsverify[{extra}]", extra=EXTRA)
        ) from error
    kiwi = Kiwi()
    return lambda text: [Morpheme(token.form, token.tag) for token in kiwi.tokenize(text)]
