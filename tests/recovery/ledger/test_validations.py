"""SQL validations: the header of a file, own ones beside the runbook's, and a database that lacks their tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.ledger.validations import read_validation, read_validations, recordable
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clones import Clone

OWN = """-- Orders of the shop.
-- [validation]
-- id = "orders"
-- ko = "주문"
-- en = "Orders"
-- table = "totals"
-- window = "7d"
-- bucket = "1d"
-- key = ["day"]
-- compared = ["rows", "qty"]
-- tolerance = 0.01
SELECT day, count(*) AS rows, sum(qty) AS qty FROM totals WHERE day >= %(since)s AND day < %(until)s GROUP BY day
"""


def test_own_validations_count_like_the_runbooks(tmp_path: Path) -> None:
    """They come after the three; an id that is there already is an error that names both files."""
    (tmp_path / "orders.sql").write_text(OWN, encoding="utf-8")
    folder = REPOSITORY / "dr_validation" / "sql"
    found = read_validations(folder, [tmp_path / "orders.sql"])
    assert list(found) == ["judgment_executions", "workflow_instances", "fact_daily_production", "orders"]
    with pytest.raises(Inconclusive, match=r"id 'orders' is already that of orders\.sql"):
        read_validations(folder, [tmp_path / "orders.sql"] * 2)


def test_the_tolerance_is_relative(tmp_path: Path) -> None:
    """Values within it are equal; a missing key never is."""
    (tmp_path / "orders.sql").write_text(OWN, encoding="utf-8")
    one = read_validation(tmp_path / "orders.sql")
    assert one.equal("2026-11-20", {"rows": 100, "qty": "50"}, {"rows": 101, "qty": "50.4"})
    assert not one.equal("2026-11-20", {"rows": 100, "qty": "50"}, {"rows": 102, "qty": "50"})
    assert not one.equal("2026-11-20", {"rows": 100, "qty": "50"}, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [("SELECT 1", "expected a comment `-- \\[validation\\]`"),
        ("-- [validation]\n-- id = 'x'\nSELECT 1", "ko: missing")],
)  # fmt: skip
def test_a_file_without_a_whole_header_is_named(tmp_path: Path, text: str, said: str) -> None:
    """With the key that is missing."""
    (tmp_path / "bad.sql").write_text(text, encoding="utf-8")
    with pytest.raises(Inconclusive, match=rf"bad\.sql: .*{said}"):
        read_validation(tmp_path / "bad.sql")


def test_a_database_of_ones_own_is_recorded_without_the_judgment_tables(clone: Clone, tmp_path: Path) -> None:
    """What is not there is left out of the record; what the target says is not applicable is, too."""
    (tmp_path / "orders.sql").write_text(OWN, encoding="utf-8")
    found = read_validations(REPOSITORY / "dr_validation" / "sql", [tmp_path / "orders.sql"])
    assert list(recordable(clone.on_own_path, found)) == ["orders"]
    assert recordable(clone.on_own_path, found, ["orders"]) == {}
