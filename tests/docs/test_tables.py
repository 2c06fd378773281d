"""Tables in the docs: each is what the code has now, and each is somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.tables import COMMAND, TABLES, names_in, pages, renewed
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

WITH_TABLES = [page for page in pages() if names_in(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", WITH_TABLES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_tables_are_what_the_code_has(page: Path) -> None:
    """Limits, signals, fixtures, stages, faults and options of the docs are those of the code, no more and no fewer."""
    text = page.read_text(encoding="utf-8")
    assert renewed(text) == text, f"stale table in {page.relative_to(REPOSITORY)}; run: {COMMAND}"


def test_every_table_is_in_the_docs_once() -> None:
    """A table that nobody shows documents nothing."""
    assert sorted(name for page in WITH_TABLES for name in names_in(page.read_text(encoding="utf-8"))) == sorted(TABLES)
