"""The fingerprint notices a change of every type of entry that pg_dump can write, or says that it leaves it out."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from opsverify.recovery.ledger.catalog import KINDS
from opsverify.recovery.ledger.catalog_parts import LEFT_OUT
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.verify.catalog_checks import check_catalog, check_large_objects, check_sequence_values
from tests.support.ledgers import again, history, record

if TYPE_CHECKING:
    from opsverify.recovery.ledger.history import History
    from tests.support.clones import Clone

ENTRIES: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("pg_dump_entries.toml").read_text(encoding="utf-8")
)["entry"]
ASIDE = frozenset({
    "ALTER SYSTEM", "ALTER TABLE", "ALTER TABLE IF EXISTS", "BLOB COMMENTS", "CREATE OR REPLACE VIEW",
    "DROP CONSTRAINT", "ENABLE ALWAYS", "ENABLE REPLICA", "LARGE OBJECT", "LARGE OBJECTS", "PRIMARY KEY",
    "WITH INOUT", "WITHOUT FUNCTION",
})  # fmt: skip
"""Texts of two words and more in pg_dump that are no types of entries: parts of its SQL."""


def _noticed(clone: Clone, recorded: History) -> set[str]:
    """Every check that a change turned red."""
    red = {kind for kind in KINDS if check_catalog(recorded, kind, clone.source).problems}
    red |= {"large_objects"} if check_large_objects(recorded, clone.source).problems else set()
    red |= {"sequence values"} if check_sequence_values(recorded, clone.source).problems else set()
    return red | ({"buckets"} if any(again(recorded, name, clone).problems for name in recorded.tables) else set())


def test_every_type_of_entry_of_pg_dump_is_listed() -> None:
    """A type of two words and more in the pg_dump at hand that is not in the list would vanish unseen."""
    tools = find_tools(18)
    texts = {
        text.decode()
        for text in re.findall(rb"(?<=\0)[A-Z]{3,}(?: [A-Z]+){1,3}(?=\0)", (tools.folder / "pg_dump").read_bytes())
    }
    assert texts - ASIDE <= {entry["desc"] for entry in ENTRIES}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: str(entry["desc"]))
def test_a_change_of_any_entry_is_noticed(clone: Clone, entry: dict[str, Any]) -> None:
    """By the check that the list names; what is left out has a reason, and is documented."""
    if "left_out" in entry:
        noted = entry["left_out"]
        assert noted in LEFT_OUT or "setting" in noted or "tablespaces" in noted
        return
    clone.run(*entry["create"])
    recorded = history(record(clone, chosen={}))
    try:
        assert _noticed(clone, recorded) == set()
        clone.run(*entry["change"])
        assert entry["check"] in _noticed(clone, recorded)
    finally:
        for statement in entry.get("after", ()):
            with suppress(psycopg.Error):
                clone.run(statement)
