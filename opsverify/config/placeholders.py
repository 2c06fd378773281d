"""Placeholders of a target's steps, such as `{revision}`: their values, and the steps with them replaced."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opsverify.commands import run_command
from opsverify.config.actions import PLACEHOLDER, placeholders
from opsverify.errors import Refused
from opsverify.language.message import say
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opsverify.config.actions import Value


def resolve(
    argvs: Iterable[Sequence[str]],
    values: Mapping[str, Value],
    facts: Mapping[str, str],
    folder: str | None,
) -> dict[str, str]:
    """The text for every placeholder in `argvs`: facts, texts, and the output of the values' commands.

    Raises Refused when a command fails, or its standard output is not one line that matches the value's pattern.
    """
    names = dict.fromkeys(name for argv in argvs for name in placeholders(argv))
    return {name: facts[name] if name in facts else _value_of(name, values[name], folder) for name in names}


def filled(argv: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """`argv` with its placeholders replaced; a name without a value stays as it is."""
    return [PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), word) for word in argv]


def _value_of(name: str, value: Value, folder: str | None) -> str:
    if value.text is not None:
        return value.text
    ran = run_command(value.run, parse_duration(value.timeout), folder, errors_apart=True)
    answer = ran.output.strip(" \t\r\n")
    why = ran.text if not ran.ok else _fault(answer, value.pattern)
    if why:
        raise Refused(
            say(
                "actions.values.{name}: {run}: {why}; correct the command, nothing was done",
                name=name,
                run=" ".join(value.run),
                why=why,
            )
        )
    return answer


def _fault(answer: str, pattern: str) -> str | None:
    """Why an answer must not stand in a command; None where it may."""
    if not answer:
        return say("nothing on standard output, expected one word")
    lines = len(answer.splitlines())
    if lines != 1:
        return say("{count} lines of output, expected 1", count=lines)
    if not answer.isprintable():
        return say("a control character in its output")
    if re.fullmatch(pattern, answer) is None:
        return say(
            "{answer!r} on standard output does not match {pattern} (actions.values.NAME.pattern)",
            answer=answer[:80],
            pattern=pattern,
        )
    return None
