"""Tables in the docs: each is what the code has now, and each is somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.config.limits import Limits
from opsverify.limits import Limit
from opsverify.units import UNITS
from tests.docs.tables import COMMAND, TABLES, limit_as_written, names_in, pages, renewed
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

WITH_TABLES = [page for page in pages() if names_in(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", WITH_TABLES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_tables_are_what_the_code_has(page: Path) -> None:
    """Limits, signals, fixtures, stages, faults and options of the docs are those of the code, no more and no fewer."""
    text = page.read_text(encoding="utf-8")
    assert renewed(text) == text, f"stale table in {page.relative_to(REPOSITORY)}; run: {COMMAND}"


@pytest.mark.parametrize("name", Limits.model_fields)
def test_a_limit_can_be_copied_from_its_table(name: str) -> None:
    """What the table shows is what a target file takes, and means the default."""
    default = Limits.model_fields[name].default
    assert Limit.parse(limit_as_written(default), default.unit) == default


def test_every_kind_of_unit_is_in_the_docs() -> None:
    """A size is a kind too."""
    page = (REPOSITORY / "docs" / "targets.md").read_text(encoding="utf-8")
    table = page.partition("| kind | units |")[2].partition("\n\n")[0]
    spellings = {unit for kind in UNITS.values() for unit in kind if unit} - {"USD"}
    assert {unit for unit in spellings if f"`{unit}`" not in table} == set()


def test_every_table_is_in_the_docs_once() -> None:
    """A table that nobody shows documents nothing."""
    assert sorted(name for page in WITH_TABLES for name in names_in(page.read_text(encoding="utf-8"))) == sorted(TABLES)
