"""Matchers: PromQL label matchers in a target, and which labels they select."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping

_MATCHER = re.compile(
    r"""\s*([a-zA-Z_][a-zA-Z0-9_]*|"(?:[^"\\]|\\.)+")\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)\s*"""
)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
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
        label, value = unquoted(label), unquoted(quoted)
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


def unquoted(text: str) -> str:
    """What a quoted text of PromQL means; a name without quotes means itself."""
    if text[0] == "`":
        return text[1:-1]
    if text[0] not in "\"'":
        return text
    return _ESCAPE.sub(lambda escape: _MEANING.get(escape[1], escape[1]), text[1:-1])


def label_name(label: str) -> str:
    """A label as PromQL has it: quoted where its name has dots or other signs (Prometheus 3: UTF-8)."""
    return label if _LABEL.fullmatch(label) else json.dumps(label, ensure_ascii=False)


def series_of(metric: str, matchers: str) -> str:
    """The selector of a metric; a name with dots or other signs stands quoted among the matchers (Prometheus 3)."""
    if _METRIC.fullmatch(metric):
        return f"{metric}{{{matchers}}}"
    return f"{{{','.join(part for part in (json.dumps(metric, ensure_ascii=False), matchers) if part)}}}"


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
