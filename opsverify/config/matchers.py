"""Matchers: PromQL label matchers in a target, and which labels they select."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping

_MATCHER = re.compile(
    r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)\s*"""
)
_ESCAPE = re.compile(r"\\(.)")
_MEANING = {"n": "\n", "t": "\t", "r": "\r"}


def parse_matchers(text: str) -> tuple[tuple[str, str, str], ...]:
    """Label, operator and value of each matcher in `a="b",c=~"d"`. Raises ValueError for another form."""
    found: list[tuple[str, str, str]] = []
    rest = text.strip().rstrip(",")
    while rest:
        match = _MATCHER.match(rest)
        tail = rest[match.end() :] if match else ""
        if match is None or (tail and not tail.startswith(",")):
            raise ValueError(
                say('{text!r} is not a list of label matchers: expected a form such as team="judgment"', text=text)
            )
        label, sign, quoted = match.groups()
        value = quoted[1:-1]
        if quoted[0] != "`":
            value = _ESCAPE.sub(lambda escape: _MEANING.get(escape[1], escape[1]), value)
        if "~" in sign:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(
                    say(
                        "{text!r}: {value!r} is not a regular expression ({error})", text=text, value=value, error=error
                    )
                ) from error
        found.append((label, sign, value))
        rest = tail[1:]
    return tuple(found)


def selects(matchers: str, labels: Mapping[str, str]) -> bool:
    """Whether `labels` match all of `matchers`, as Prometheus reads them: anchored, a label that is absent is empty."""
    return all(_holds(sign, value, labels.get(label, "")) for label, sign, value in parse_matchers(matchers))


def _holds(sign: str, value: str, found: str) -> bool:
    if "~" in sign:
        return (re.fullmatch(value, found, re.DOTALL) is not None) == (sign == "=~")
    return (found == value) == (sign == "=")


def _checked(text: str) -> str:
    parse_matchers(text)
    return text


Matchers = Annotated[str, AfterValidator(_checked)]
