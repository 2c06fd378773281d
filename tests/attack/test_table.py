"""Every try of the table: it ends as it must, and no verdict says more than was measured."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.attack.tries import Stage, all_tries, project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.attack.tries import Try

TRIES = tuple(all_tries())


def test_the_project_is_accepted_without_an_attack(tmp_path: Path) -> None:
    """What the tries change is a project whose stage passes, with both checks."""
    ran = Stage()(project(tmp_path / "project"))
    assert ran.code == 0, str(ran)
    assert ran.outcomes == {"t.whole": "pass", "t.other": "pass"}


def test_every_try_has_a_name_of_its_own() -> None:
    """A try that repeats another one's name would hide it in the report."""
    assert [name for name, count in Counter(map(str, TRIES)).items() if count > 1] == []


@pytest.mark.parametrize("attempt", TRIES, ids=str)
def test_try(attempt: Try, tmp_path: Path) -> None:
    """The exit code is one of those expected, the verdict no decision that they exclude."""
    ran = attempt.how(project(tmp_path / "project"))
    assert ran.code in attempt.expected, str(ran)
    if not {0, 1} & set(attempt.expected):
        assert ran.verdict is None or ran.verdict["decision"] == "hold", ran.verdict
    assert attempt.says in f"{ran.reasons}\n{ran.out}\n{ran.err}", str(ran)
