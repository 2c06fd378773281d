"""Wrong values: every type of error that a target file can cause has a Korean text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from opsverify.config.wrong_value import TEXTS, problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

HANGUL = re.compile("[가-힣]")
NOT_IN_TOML = re.compile(
    "no_such_attribute|json_|needs_python_object|recursion_|frozen_|invalid_key|get_attribute_error|dataclass_|"
    "named_tuple_|default_factory_|none_required|iterable_|iteration_|string_sub_type|string_unicode|string_not_ascii|"
    "ordered_dict_|counter_|mapping_|deque_|set_|bytes_|missing_|ellipsis_|date_past|date_future|time_|datetime_past|"
    "datetime_future|timezone_offset|is_instance_of|is_subclass_of|callable_|arguments_|unexpected_|multiple_argument|"
    "url_|uuid_|decimal_|fraction_|complex_"
)
"""Types of Python's own values, of keys and forms that no section has."""
ANY: Mapping[str, Any] = {
    "error": "오류", "pattern": "x", "min_length": 1, "max_length": 2, "expected": "'a' or 'b'", "gt": 1, "ge": 1,
    "lt": 1, "le": 1, "multiple_of": 2, "discriminator": "kind", "expected_tags": "'a'", "tag": "b",
}  # fmt: skip


def test_every_type_of_error_has_a_text() -> None:
    """A pydantic with another type of error is found; so is an entry that it does not have."""
    types = set(get_args(ErrorType))
    assert not sorted(name for name in types - set(TEXTS) if not NOT_IN_TOML.match(name))
    assert not set(TEXTS) - types


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_is_korean(name: str) -> None:
    """With what pydantic knows of the error in it."""
    assert HANGUL.search(TEXTS[name](ANY).ko)


def test_a_value_is_named_in_both_languages() -> None:
    """As a person reads it who wrote a number where a text belongs."""

    class Section(BaseModel):
        """A section with one key."""

        window: str

    with pytest.raises(ValidationError) as raised:
        Section.model_validate({"window": -3})
    problem = problem_of(raised.value.errors()[0])
    assert (problem.en, problem.ko) == ("input should be a valid string", "문자열이어야 함")
