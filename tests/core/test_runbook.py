"""Lines of a project's own runbook: joined with ours, or refused with file, key and the nearest name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.core.runbook import lines, lines_of, scope_of
from opsverify.errors import TargetError

if TYPE_CHECKING:
    from pathlib import Path

LINE = '[[line]]\nid = "own/orders"\nko = "주문"\nen = "Orders"\nstages = ["daily"]\n'
SCOPE = '[[out_of_scope]]\nline = "1-weekly/cache"\nowner = "kim"\nreason = "no cache"\nsince = 2026-11-01\n'


def project(folder: Path, text: str) -> Path:
    """A project of one's own with this runbook."""
    (folder / "targets").mkdir()
    (folder / "runbook.toml").write_text(text, encoding="utf-8")
    return folder


def test_own_lines_join_ours(tmp_path: Path) -> None:
    """Every line of ours, and the own one with its stages."""
    found = lines_of(project(tmp_path, LINE))
    assert set(found) == {*lines_of(None), "own/orders"}
    assert found["own/orders"].stages == ("daily",)


def test_a_line_out_of_scope_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reason, owner and date; only where every line of a check is out of scope."""
    monkeypatch.chdir(project(tmp_path, LINE + SCOPE))
    assert scope_of(["1-weekly/cache"], lines()) == "out of scope: no cache (kim, 2026-11-01)"
    assert scope_of(["1-weekly/cache", "1-daily/llm"], lines()) is None
    assert lines()["1-weekly/cache"].ko == lines_of(None)["1-weekly/cache"].ko


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LINE.replace("own/orders", "1-daily/llm"), "1-daily/llm: the id is taken"),
        (LINE + LINE, "own/orders: the id is taken"),
        (LINE.replace("daily", "dayly"), "unknown stage 'dayly'; did you mean 'daily'?"),
        (
            SCOPE.replace("weekly/cache", "weekly/caches"),
            "unknown line '1-weekly/caches'; did you mean '1-weekly/cache'?",
        ),
        (SCOPE.replace("2026", "2126"), "is in the future"),
        (SCOPE.replace('owner = "kim"\n', ""), "out_of_scope.0.owner: missing"),
        (SCOPE.replace('"no cache"', '" "'), "out_of_scope.0.reason"),
        (SCOPE + "until = 2027-01-01\n", "out_of_scope.0.until"),
        (LINE.replace("own/orders", "Orders"), "line.0.id"),
        ("line = 3", "line: input should be"),
        ("[[", "not valid TOML"),
    ],
)
def test_a_fault_names_file_and_key(text: str, told: str, tmp_path: Path) -> None:
    """One line for each fault; nothing is ignored."""
    with pytest.raises(TargetError) as refused:
        lines_of(project(tmp_path, text))
    assert any(told in problem and str(tmp_path / "runbook.toml") in problem for problem in refused.value.problems)
