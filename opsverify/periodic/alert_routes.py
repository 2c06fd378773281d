"""Routes of Alertmanager: the receivers that the alerts of a rule may get to, and which of those notify anybody.

A rule shows some labels of its alerts, series show others: a route that asks for another one may take the alert.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MATCHER: Final = re.compile(
    r"""(?P<name>[\w.:-]+|"[^"]+")\s*(?P<op>=~|!~|!=|=)\s*(?P<value>"(?:[^"\\]|\\.)*"|[^,}\s]*)"""
)
_TEMPLATE: Final = "{{"


@dataclass(frozen=True)
class Routes:
    """The tree of routes, and the integrations of each receiver by kind (`webhook`), one for each of them."""

    root: Mapping[str, Any]
    integrations: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, configuration: str) -> Routes:
        """Of a configuration as Alertmanager reports it. Raises Inconclusive for what is none."""
        import yaml  # noqa: PLC0415 - only this check reads YAML

        try:
            content = yaml.safe_load(configuration)
            receivers = {
                one["name"]: tuple(
                    key.removesuffix("_configs")
                    for key, value in one.items()
                    if key.endswith("_configs")
                    for _ in value or ()
                )
                for one in content["receivers"]
            }
            return cls(content["route"], receivers)
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise Inconclusive(say("Alertmanager: its routes cannot be read ({error})", error=error)) from error

    def receivers(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Receivers that an alert with `labels`, and perhaps others, may get to."""
        return tuple(dict.fromkeys(self._walk(self.root, labels, "")))

    def notifying(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Those of them that have an integration."""
        return tuple(name for name in self.receivers(labels) if self.integrations.get(name))

    def _walk(self, node: Mapping[str, Any], labels: Mapping[str, str], inherited: str) -> Iterator[str]:
        receiver, taken = str(node.get("receiver") or inherited), False
        for child in node.get("routes") or ():
            matches = _matches(child, labels)
            if matches is False:
                continue
            yield from self._walk(child, labels, receiver)
            taken = taken or matches is True
            if matches is True and not child.get("continue"):
                return
        if not taken:
            yield receiver


def _matches(route: Mapping[str, Any], labels: Mapping[str, str]) -> bool | None:
    """Whether a route takes an alert; None where that depends on labels that the rule does not show."""
    answers = {_holds(*matcher, labels.get(matcher[0])) for matcher in _matchers(route)}
    if False in answers:
        return False
    return None if None in answers else True


def _matchers(route: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, value in (route.get("match") or {}).items():
        yield str(name), "=", str(value)
    for name, value in (route.get("match_re") or {}).items():
        yield str(name), "=~", str(value)
    texts: Iterable[str] = route.get("matchers") or ()
    for text in texts:
        if not _MATCHER.search(text) and text.strip("{}, "):
            raise Inconclusive(say("Alertmanager: matcher {text} of a route cannot be read", text=text))
        for found in _MATCHER.finditer(text):
            yield found["name"].strip('"'), found["op"], _unquoted(found["value"])


def _holds(_name: str, op: str, wanted: str, value: str | None) -> bool | None:
    if value is None or _TEMPLATE in value:
        return None
    try:
        same = bool(re.fullmatch(wanted, value)) if op.endswith("~") else wanted == value
    except re.error:
        return None
    return same is not op.startswith("!")


def _unquoted(text: str) -> str:
    if text.startswith('"'):
        return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text[1:-1])
    return text
