"""Particles: `을(를)` after a parameter becomes `을` or `를`, by the final sound of what stands before it."""

from __future__ import annotations

import re
from typing import Final

_PAIRS: Final = {
    "을(를)": ("을", "를"),
    "이(가)": ("이", "가"),
    "은(는)": ("은", "는"),
    "과(와)": ("과", "와"),
    "(으)로": ("으로", "로"),
}
"""A particle as the catalogue writes it: after a consonant, after a vowel."""
_PARTICLE: Final = re.compile(r"([0-9가-힣])(" + "|".join(map(re.escape, _PAIRS)) + ")")
_DIGITS: Final = "영일이삼사오육칠팔구"
_FIRST, _FINALS, _RIEUL = 0xAC00, 28, 8


def with_particles(text: str) -> str:
    """`text` with the particles chosen that follow a Korean letter or a digit; others keep both forms."""
    return _PARTICLE.sub(_chosen, text)


def _chosen(match: re.Match[str]) -> str:
    before, particle = match.groups()
    syllable = _DIGITS[int(before)] if before in "0123456789" else before
    final = (ord(syllable) - _FIRST) % _FINALS
    after_consonant, after_vowel = _PAIRS[particle]
    vowel_like = final == 0 or (particle == "(으)로" and final == _RIEUL)
    return before + (after_vowel if vowel_like else after_consonant)
