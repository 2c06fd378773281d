"""Tables that production makes after the record, on a copy of the same cluster: notes, and no more than these."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from opsverify.recovery.ledger.catalog import KINDS
from opsverify.recovery.verify.catalog_checks import check_catalog
from tests.support.ledgers import history, record

if TYPE_CHECKING:
    from opsverify.recovery.ledger.history import History
    from tests.support.clones import Clone

PARTITIONED = (
    """CREATE TABLE parts (id bigint GENERATED ALWAYS AS IDENTITY, at date NOT NULL, line text REFERENCES lines,
       qty int CHECK (qty > 0), PRIMARY KEY (id, at)) PARTITION BY RANGE (at)""",
    "CREATE INDEX ON parts (line)",
    "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-01-02')",
    "CREATE TRIGGER touched BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION touch()",
    "GRANT SELECT ON parts TO plant_reader",
)
OF_THE_NEXT_DAY = (
    "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-01-02') TO ('2026-01-03')",
    "GRANT SELECT ON parts_2 TO plant_reader",
    "ALTER TABLE parts_2 ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY mine ON parts_2 USING (true)",
    'CREATE TABLE "a.b" (id serial PRIMARY KEY, v text UNIQUE)',
    'CREATE RULE kept AS ON DELETE TO "a.b" DO INSTEAD NOTHING',
)


@pytest.fixture
def recorded(clone: Clone) -> History:
    """The ledger's record of a database with a partitioned table."""
    clone.run(*PARTITIONED)
    return history(record(clone))


def problems(recorded: History, clone: Clone) -> dict[str, tuple[str, ...]]:
    """What every kind of the catalog says of the clone as it is now."""
    found = {kind: check_catalog(recorded, kind, clone.source).problems for kind in KINDS}
    return {kind: lines for kind, lines in found.items() if lines}


def test_what_production_made_since_is_a_note(recorded: History, clone: Clone) -> None:
    """A partition a day is no damage, with its columns, keys, indexes, sequences, grants, policies and rules."""
    clone.run(*OF_THE_NEXT_DAY)
    assert problems(recorded, clone) == {}
    notes = check_catalog(recorded, "tables", clone.source).notes
    assert notes == ('public."a.b": made since it was recorded', "public.parts_2: made since it was recorded")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("CREATE INDEX late ON lines (name)", "indexes"),
        ("ALTER TABLE lines ADD COLUMN late int", "columns"),
        ("ALTER TABLE parts_1 ADD CONSTRAINT late CHECK (qty < 9)", "constraints"),
        ("GRANT INSERT ON parts_1 TO plant_reader", "grants"),
        ("CREATE VIEW late AS SELECT 1 AS one", "tables"),
        ("ALTER TABLE parts_1 RENAME TO parts_9", "tables"),
        ("DROP TABLE parts_1", "tables"),
        ("CREATE FUNCTION late() RETURNS int LANGUAGE sql AS 'SELECT 1'", "routines"),
    ],
)
def test_what_changes_a_recorded_table_is_found(recorded: History, clone: Clone, change: str, told: str) -> None:
    """Beside new tables, too: an object of a table that was recorded is none of theirs."""
    clone.run(*OF_THE_NEXT_DAY, change)
    found = problems(recorded, clone)
    assert told in found
    assert not [line for lines in found.values() for line in lines if "parts_2" in line or '"a.b"' in line]


def test_in_another_cluster_nothing_is_known_to_be_new(recorded: History, clone: Clone) -> None:
    """What a logical restore loads is all as new as the restore."""
    clone.run(*OF_THE_NEXT_DAY)
    elsewhere = replace(recorded, rows_system="1")
    assert {"tables", "columns", "indexes", "grants"} <= problems(elsewhere, clone).keys()
