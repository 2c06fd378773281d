"""Wrong value: what pydantic found in a file that a person wrote, as a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opsverify.language.message import Message, as_message, say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_core import ErrorDetails

TEXTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Message]]] = {
    "extra_forbidden": lambda _: say("unknown key"),
    "missing": lambda _: say("missing"),
    "value_error": lambda more: as_message(str(more["error"])),
    "assertion_error": lambda more: as_message(str(more["error"])),
    "string_type": lambda _: say("input should be a valid string"),
    "string_pattern_mismatch": lambda more: say("text should match pattern {pattern!r}", pattern=more["pattern"]),
    "string_too_short": lambda more: say("text should have at least {n} characters", n=more["min_length"]),
    "string_too_long": lambda more: say("text should have at most {n} characters", n=more["max_length"]),
    "too_short": lambda more: say("should have at least {n} entries", n=more["min_length"]),
    "too_long": lambda more: say("should have at most {n} entries", n=more["max_length"]),
    "literal_error": lambda more: say("input should be {expected}", expected=_listed(more["expected"])),
    "enum": lambda more: say("input should be {expected}", expected=_listed(more["expected"])),
    "bool_type": lambda _: say("input should be a valid boolean"),
    "bool_parsing": lambda _: say("input should be a valid boolean"),
    "int_type": lambda _: say("input should be a valid integer"),
    "int_parsing": lambda _: say("input should be a valid integer"),
    "int_parsing_size": lambda _: say("input should be a valid integer"),
    "int_from_float": lambda _: say("input should be a valid integer"),
    "float_type": lambda _: say("input should be a valid number"),
    "float_parsing": lambda _: say("input should be a valid number"),
    "finite_number": lambda _: say("input should be a finite number"),
    "greater_than": lambda more: say("input should be greater than {bound}", bound=more["gt"]),
    "greater_than_equal": lambda more: say("input should be at least {bound}", bound=more["ge"]),
    "less_than": lambda more: say("input should be less than {bound}", bound=more["lt"]),
    "less_than_equal": lambda more: say("input should be at most {bound}", bound=more["le"]),
    "multiple_of": lambda more: say("input should be a multiple of {step}", step=more["multiple_of"]),
    "dict_type": lambda _: say("input should be a table"),
    "model_type": lambda _: say("input should be a table"),
    "model_attributes_type": lambda _: say("input should be a table"),
    "list_type": lambda _: say("input should be an array"),
    "tuple_type": lambda _: say("input should be an array"),
    "date_type": lambda _: say("input should be a valid date"),
    "date_parsing": lambda _: say("input should be a valid date"),
    "date_from_datetime_parsing": lambda _: say("input should be a valid date"),
    "date_from_datetime_inexact": lambda _: say("input should be a date without time"),
    "datetime_type": lambda _: say("input should be a valid date and time"),
    "datetime_parsing": lambda _: say("input should be a valid date and time"),
    "datetime_from_date_parsing": lambda _: say("input should be a valid date and time"),
    "datetime_object_invalid": lambda _: say("input should be a valid date and time"),
    "timezone_aware": lambda _: say("input should be a date and time with its zone"),
    "timezone_naive": lambda _: say("input should be a date and time without zone"),
    "union_tag_not_found": lambda more: say("missing: {key}, which says its kind", key=more["discriminator"]),
    "union_tag_invalid": lambda more: say(
        "{key} should be one of {expected}, not {given!r}",
        key=more["discriminator"],
        expected=more["expected_tags"],
        given=more["tag"],
    ),
}
"""The message of each type of error that a file can cause, from what pydantic knows of it."""


def problem_of(detail: ErrorDetails) -> Message:
    """What is wrong with one value, without its key."""
    text = TEXTS.get(detail["type"])
    return text(detail.get("ctx") or {}) if text else as_message(detail["msg"])


def key_of(detail: ErrorDetails) -> str:
    """Where it stands: `canary.window`, `waivers.0.until`."""
    return ".".join(map(str, detail["loc"]))


def _listed(expected: str) -> Message:
    """Pydantic's list of values, `'a', 'b' or 'c'`, whose last comma is a word."""
    values, _, last = expected.rpartition(" or ")
    return Message.of(expected, f"{values}, {last}") if values else as_message(expected)
