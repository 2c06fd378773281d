"""Texts of argparse, by its own templates: what it prints of a wrong command line, as messages in both languages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opsverify.language.message import as_message, say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.language.message import Message

USAGE: Final = say("usage: ")
POSITIONALS: Final = say("positional arguments")
OPTIONS: Final = say("options")
HELP: Final = say("show this help message and exit")
HEADINGS: Final = (USAGE, POSITIONALS, OPTIONS, HELP)
"""What argparse writes into every help."""

_KINDS: Final[Mapping[str, Message]] = {"int": say("whole number"), "float": say("number")}
ERRORS: Final[Mapping[str, Callable[..., Message]]] = {
    "the following arguments are required: %s": lambda names: say("missing {names}", names=names),
    "one of the arguments %s is required": lambda names: say("missing one of {names}", names=names),
    "unrecognized arguments: %s": lambda words: say("unexpected {words}", words=words),
    "argument %(argument_name)s: %(message)s": lambda name, problem: say(
        "argument {name}: {problem}", name=name, problem=error_text(problem)
    ),
    "expected one argument": lambda: say("expected one argument"),
    "expected at most one argument": lambda: say("expected at most one argument"),
    "expected at least one argument": lambda: say("expected at least one argument"),
    "expected %s argument": lambda count: say("expected {count} arguments", count=count),
    "expected %s arguments": lambda count: say("expected {count} arguments", count=count),
    "not allowed with argument %s": lambda other: say("not allowed with {other}", other=other),
    "ignored explicit argument %r": lambda value: say("takes no value: {value}", value=value),
    "ambiguous option: %(option)s could match %(matches)s": lambda option, matches: say(
        "ambiguous option {option}: one of {matches}", option=option, matches=matches
    ),
    "invalid %(type)s value: %(value)r": lambda kind, value: say(
        "{value} is no {kind}", value=value, kind=_KINDS.get(kind, kind)
    ),
}
"""The message for each error of argparse that a command line can cause, by argparse's own template."""
_PLACE: Final = re.compile(r"%(?:\(\w+\))?[sr]")


def error_text(text: str) -> Message:
    """The message for an error of argparse; a text that is not in the table stays as it is."""
    for template, message in ERRORS.items():
        pattern = "(.+?)".join(map(re.escape, _PLACE.split(template)))
        if found := re.fullmatch(pattern, text, re.DOTALL):
            return message(*found.groups())
    return as_message(text)
