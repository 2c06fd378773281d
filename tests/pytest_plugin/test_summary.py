"""The terminal's rows: their width in cells, folded families, and what is left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opsverify.core.results import CheckResult
from opsverify.core.stages import Outcome
from opsverify.language.cells import cells, cut, wrapped
from opsverify.pytest_plugin.summary import families

TEXT = st.text(st.sampled_from("ab 가나0/"), max_size=200)


def test_a_korean_letter_takes_two_cells() -> None:
    """Columns stay aligned where Korean and Latin letters mix."""
    assert (cells("abc"), cells("보류"), cells("보류 HOLD"), cells("e\u0301")) == (3, 4, 9, 1)


@given(TEXT, st.integers(20, 100))
def test_wrapping_loses_nothing_and_stays_within_the_columns(text: str, columns: int) -> None:
    """Only a word longer than a row, such as a path, may be longer."""
    rows = list(wrapped("  tag  ", text, columns))
    assert " ".join(" ".join(rows).split()[1:]) == " ".join(text.split())
    longest = max(map(cells, text.split(" ")), default=0)
    assert all(cells(row) <= max(columns, 7 + longest) for row in rows)
    assert all(row.startswith(" " * 7) for row in rows[1:] if row)


@given(TEXT, st.integers(10, 100))
def test_a_cut_row_fits_and_says_so(text: str, columns: int) -> None:
    """What does not fit ends in dots."""
    row = cut(text, columns)
    assert cells(row) <= columns
    assert row == text or row.endswith(" ...")


def test_passing_checks_fold_into_one_line_a_family() -> None:
    """A hundred checks are as many lines as there are families; the worst outcome leads a line."""
    results = [CheckResult(f"sql.t{number}", Outcome.PASS, "") for number in range(100)]
    results += [CheckResult("health.a", Outcome.PASS, ""), CheckResult("health.b", Outcome.FAIL, "")]
    assert [row.text for row in families(results, "en")] == ["pass  sql     100 pass", "FAIL  health  1 pass, 1 fail"]
    assert [row.text for row in families(results, "ko")] == ["통과  sql     통과 100", "실패  health  통과 1, 실패 1"]
