"""Slips of a target that Python cannot hold, or that would end a run in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.config.load import load_target
from tests.support.target_file import SMALLEST, problems_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("connect_timeout_s", "99999999999999999999", "input should be "),
        ("statement_timeout_s", "1e300", "input should be at most 86400.0"),
    ],
)
def test_no_timeout_is_beyond_all_clocks(tmp_path: Path, key: str, value: str, said: str) -> None:
    """It would end in an error of the thread that waits, in the middle of a run."""
    text = SMALLEST.replace('"postgres", ', "")
    database = f"[postgres]\nhost = 'h'\ndbname = 'd'\nlogin = {{ user = 'u' }}\n{key} = {value}\n"
    (line,) = problems_in(tmp_path, text + database)
    assert f"postgres.{key}: {said}" in line


def test_an_empty_reason_is_none(tmp_path: Path) -> None:
    """A table of reasons is written for the reasons."""
    head = SMALLEST.replace("absent = [", "# ").replace("[services.a]", "[absent]\nredis = ' '\n[services.a]")
    assert any("absent: redis: expected the reason" in line for line in problems_in(tmp_path, head))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"n = {'9' * 5000}", "holds a number or date that cannot be: "),
        (f"n = {'[' * 5000}", "too deep to be read"),
        (f"n = {'[' * 400}{']' * 400}", "too deep to be read"),
    ],
    ids=["long", "deep", "nested"],
)
def test_toml_that_python_cannot_hold(tmp_path: Path, content: str, said: str) -> None:
    """A fault of the file, and no traceback."""
    (line,) = problems_in(tmp_path, content)
    assert said in line


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Editors on Windows write one; it is no statement."""
    path = tmp_path / "t.toml"
    path.write_text(SMALLEST, encoding="utf-8-sig")
    assert load_target(path, with_secrets=False)[0].name == "t"
