"""Kept messages: JSON whose strings may be messages, with the other language beside them, in one field `texts`.

Files that older versions wrote have no such field: their texts are read in English, as they were written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opsverify.language.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TEXTS: Final = "texts"


def keep(content: Mapping[str, Any]) -> dict[str, Any]:
    """`content`, and in `texts` both languages of each message in it, and of its cause where it has one."""
    found = {message.en: message for message in _messages(content) if message.ko != message.en}
    rows = [
        [message.en, message.ko, *((cause.en, cause.ko) if (cause := message.cause) is not message else ())]
        for message in found.values()
    ]
    return {**content, TEXTS: rows} if rows else dict(content)


def revive(content: Any) -> Any:  # noqa: ANN401 - any JSON value
    """What `keep` was given: its messages in both languages again."""
    if not isinstance(content, dict):  # not a file of ours: its reader says so
        return content
    known = {row[0]: _message(*row) for row in content.get(TEXTS, ())}
    return _revived({name: value for name, value in content.items() if name != TEXTS}, known)


def _message(english: str, korean: str, *cause: str) -> Message:
    return Message.of(english, korean, (lambda: Message.of(cause[0], cause[1])) if cause else None)


def _messages(value: object) -> Iterator[Message]:
    if isinstance(value, Message):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _messages(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _messages(item)


def _revived(value: Any, known: Mapping[str, Message]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return known.get(value, value)
    if isinstance(value, dict):
        return {name: _revived(item, known) for name, item in value.items()}
    if isinstance(value, list):
        return [_revived(item, known) for item in value]
    return value
