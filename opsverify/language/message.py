"""Message: a text for a person in two languages. It is its English text; `ko` is the Korean one.

`say("{used} of {limit} connections are used", used=97, limit=100)` makes one. The template is the key of the
catalogue (`opsverify/language/ko/*.toml`), the parameters have names, and a parameter that is a message, or an
exception raised with one, appears in the language of the whole. A message without a Korean template is English in both.

One cause shows in many checks, each with a detail of its own (the query that was not answered). Such a parameter is
called `detail`, and `cause` is the message without it: what is the same in all of them.

A message goes wherever a `str` goes: into an exception (`str(error)` returns it), a dataclass, a pickle. What leaves
the process as JSON carries both texts (`pair`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from opsverify.language.catalogue import korean
from opsverify.language.particles import with_particles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Language = Literal["ko", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ko", "en")
DETAIL: Final = "detail"
_KEPT: Final = (str, int, float, dt.date, type(None))
"""Types of parameters that keep their format in a template; all others are texts from the start."""


class Message(str):
    """A text in English that also has its Korean text."""

    __slots__ = ("_cause", "_ko")
    _ko: str | Callable[[], str]
    _cause: Callable[[], Message] | None

    @classmethod
    def of(cls, english: str, ko: str | Callable[[], str], cause: Callable[[], Message] | None = None) -> Self:
        """The message of two texts; a function makes the Korean one when it is first needed, another one the cause."""
        message = cls(english)
        message._ko = ko
        message._cause = cause
        return message

    @property
    def en(self) -> str:
        """The English text, as a plain string."""
        return str.__str__(self)

    @property
    def ko(self) -> str:
        """The Korean text; the English one where the catalogue has none."""
        if not isinstance(self._ko, str):
            self._ko = self._ko()
        return self._ko

    @property
    def cause(self) -> Message:
        """The message without its details; itself where it has none."""
        return self if self._cause is None else self._cause()

    def text(self, language: str) -> str:
        """The text in `ko` or `en`."""
        return self.ko if language == "ko" else self.en

    def caused_by(self, cause: str) -> Message:
        """The same texts, counted as one with everything else that has the cause of `cause`."""
        return Message.of(self.en, lambda: self.ko, lambda: as_message(cause).cause)

    def each(self, change: Callable[[str], str]) -> Message:
        """The message with `change` applied to each of its texts; itself where that changes nothing."""
        before = (self.en, self.ko)
        after = (change(before[0]), change(before[1]))
        if self._cause is None:
            return self if after == before else Message.of(*after)
        return Message.of(*after, lambda: self.cause.each(change))

    def __str__(self) -> str:
        """The message itself: so `str(error)` of an exception raised with a message has both languages."""
        return self

    def __add__(self, other: str) -> Message:
        """This message, followed by a text or a message."""
        return join("", (self, other))

    def __reduce__(self) -> tuple[Callable[..., Message], tuple[str, ...]]:
        """Both texts, and those of the cause, whatever process reads them."""
        cause = self.cause
        return _of_texts, (self.en, self.ko, *((cause.en, cause.ko) if cause is not self else ()))


def say(template: str, /, **parameters: object) -> Message:
    """The message of `template`, filled with `parameters`, in both languages."""
    values = {name: _kept(value) for name, value in parameters.items()}
    if DETAIL not in values and not any(_has_cause(value) for value in values.values()):
        return _filled(template, values)
    without = {name: value.cause if isinstance(value, Message) else value for name, value in values.items()}
    if DETAIL in values:
        without[DETAIL] = ""
    return _filled(template, values, lambda: _filled(template, without))


def join(separator: str, messages: Iterable[str]) -> Message:
    """Several texts or messages as one message."""
    parts = tuple(messages)
    between = as_message(separator)
    return Message.of(
        between.en.join(in_language(part, "en") for part in parts),
        lambda: between.ko.join(in_language(part, "ko") for part in parts),
        (lambda: join(separator, dict.fromkeys(as_message(part).cause for part in parts)))
        if any(map(_has_cause, parts))
        else None,
    )


def as_message(text: str) -> Message:
    """`text` itself if it is a message; a text that is the same in both languages otherwise."""
    return text if isinstance(text, Message) else Message.of(text, text)


def in_language(text: str, language: str) -> str:
    """A text or message in `ko` or `en`, as a plain string."""
    return text.text(language) if isinstance(text, Message) else text


def pair(name: str, text: str) -> dict[str, str]:
    """Both texts as JSON has them: `{"message": ..., "message_ko": ...}` for the name `message`."""
    message = as_message(text)
    return {name: message.en, f"{name}_ko": message.ko}


def packed(name: str, text: str) -> dict[str, str]:
    """What `pair` gives, and the texts of the cause where the message has one: for another process of the run."""
    cause = as_message(text).cause
    return pair(name, text) | (pair(f"{name}_cause", cause) if cause != text else {})


def unpair(content: dict[str, Any], name: str) -> Message:
    """The inverse of `pair` and of `packed`; files of older runs have the English text only."""
    texts = [content[name], content.get(f"{name}_ko", content[name])]
    if f"{name}_cause" in content:
        texts += [content[f"{name}_cause"], content[f"{name}_cause_ko"]]
    return _of_texts(*texts)


def _of_texts(english: str, korean_text: str, *cause: str) -> Message:
    return Message.of(english, korean_text, (lambda: Message.of(cause[0], cause[1])) if cause else None)


def _filled(template: str, values: dict[str, object], cause: Callable[[], Message] | None = None) -> Message:
    return Message.of(template.format_map(_in("en", values)), lambda: _in_korean(template, values), cause)


def _has_cause(value: object) -> bool:
    return isinstance(value, Message) and value.cause is not value


def _in_korean(template: str, values: dict[str, object]) -> str:
    found = korean(template)
    return with_particles(found.format_map(_in("ko", values))) if found else template.format_map(_in("ko", values))


def _in(language: Language, values: dict[str, object]) -> dict[str, object]:
    return {name: value.text(language) if isinstance(value, Message) else value for name, value in values.items()}


def _kept(value: object) -> object:
    return value if isinstance(value, _KEPT) else str(value)
