"""The language of a command's errors: the option's, the target's, or English."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.reader_language import reader_language

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("content", "given", "expected"),
    [
        ('language = "en"', None, "en"),
        ('name = "t"', None, "ko"),
        ('language = "ko"', "en", "en"),
        ("language = ", None, "en"),
        (None, None, "en"),
        ('language = "fr"', None, "en"),
    ],
)
def test_the_target_decides_unless_the_option_does(
    tmp_path: Path, content: str | None, given: str | None, expected: str
) -> None:
    """A target that cannot be read, or names no language we have, is spoken of in English."""
    path = tmp_path / "t.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert reader_language(argparse.Namespace(target=str(path), language=given)) == expected


def test_without_a_target_errors_are_english() -> None:
    """A command that takes none."""
    assert reader_language(argparse.Namespace()) == "en"
