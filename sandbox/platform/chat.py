"""Chat utterances and the intents recognised in them."""

from __future__ import annotations

from sandbox.platform.rules import InvalidInputError

UNKNOWN = ("smalltalk", 0.42)
WRONG = ("smalltalk", 0.91)
_UTTERANCE_LIMIT = 500
_PATTERNS: tuple[tuple[tuple[str, ...], str, float], ...] = (
    (("분석", "생산량", "수율", "production", "yield"), "bi_insight", 0.93),
    (("알람", "경보", "alarm", "alert"), "alarm_status", 0.91),
    (("워크플로", "점검 시작", "workflow"), "workflow_start", 0.88),
    (("상태", "설비", "status", "equipment"), "equipment_status", 0.86),
    (("왜", "원인", "why", "cause"), "root_cause", 0.74),
)


def check_utterance(text: object) -> str:
    """The utterance, or InvalidInputError."""
    if not isinstance(text, str) or not text.strip() or len(text) > _UTTERANCE_LIMIT:
        raise InvalidInputError(f"utterance is not a text of 1 to {_UTTERANCE_LIMIT} characters")
    return text


def check_user(name: object) -> str:
    """Who said it, `anonymous` where nobody is named; or InvalidInputError."""
    if name is not None and (not isinstance(name, str) or not name or len(name) > _UTTERANCE_LIMIT):
        raise InvalidInputError(f"user is not a text of 1 to {_UTTERANCE_LIMIT} characters")
    return name or "anonymous"


def check_feedback(value: object) -> int:
    """1 for a thumb up, -1 for a thumb down, or InvalidInputError."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in (1, -1):
        raise InvalidInputError(f"feedback is {value!r}, expected 1 or -1")
    return value


def recognise(utterance: str) -> tuple[str, float]:
    """The intent of an utterance and the confidence in it, 0..1; the first pattern that occurs wins."""
    lowered = utterance.lower()
    for words, intent, confidence in _PATTERNS:
        if any(word in lowered for word in words):
            return intent, confidence
    return UNKNOWN
