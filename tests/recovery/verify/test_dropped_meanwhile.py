"""Objects that production drops while post-dr asks about them: no damage, whatever asks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.verify import catalog_checks, consistency, partitions
from opsverify.recovery.verify.finding import while_listed
from tests.support.ledgers import history, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.verify.finding import Finding
    from tests.support.clones import Clone

STAGING = (
    "CREATE TABLE staging (id serial PRIMARY KEY, line text REFERENCES lines) PARTITION BY RANGE (id)",
    "CREATE TABLE staging_one PARTITION OF staging FOR VALUES FROM (0) TO (100)",
)
CHECKS: Mapping[str, Callable[[Source], Finding]] = {
    "sequences": lambda source: consistency.check_sequences(source, psycopg.Error),
    "foreign_keys": consistency.check_foreign_keys,
    "unique_keys": consistency.check_unique_keys,
    "partitions": lambda source: partitions.check_partitions(source, psycopg.Error),
}
READS = re.compile(r"FROM (ONLY )?public\.staging|public\.staging_id_seq")


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_dropped_between_list_and_read_is_no_damage(clone: Clone, name: str) -> None:
    """It was listed, and is gone at the statement that reads it; all else is asked about."""
    clone.run(*STAGING)
    dropped: list[str] = []

    def source(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        if READS.search(f"{sql} {values}") and not dropped:
            dropped.append(sql)
            clone.run("DROP TABLE staging")
        return clone.source(sql, values)

    answer = CHECKS[name](source)
    assert dropped
    assert (answer.problems, answer.unknown) == ((), None)
    assert answer.asked > 0


def test_a_sequence_that_is_dropped_meanwhile_is_the_catalogs_to_name(clone: Clone) -> None:
    """Its value cannot be compared; that it is missing shows in the kind `sequences`."""
    clone.run("CREATE SEQUENCE numbers")
    recorded = history(record(clone, chosen={}))

    def source(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        if "public.numbers" in f"{sql} {values}":
            clone.run("DROP SEQUENCE IF EXISTS numbers")
        return clone.source(sql, values)

    answer = catalog_checks.check_sequence_values(recorded, source, psycopg.Error)
    assert (answer.problems, answer.unknown) == ((), None)
    assert catalog_checks.check_catalog(recorded, "sequences", clone.source).problems


def test_what_is_still_listed_is_not_passed_over() -> None:
    """A row that is refused although it is there ends as before; of others what was found counts."""

    def ask(row: str) -> list[str]:
        if row != "whole":
            raise psycopg.errors.DataCorrupted(row)
        return ["found"]

    asked = while_listed(ask, lambda: ["whole", "damaged"], str)
    assert asked("whole") == ["found"]
    assert asked("dropped") == []
    with pytest.raises(psycopg.errors.DataCorrupted):
        asked("damaged")


def test_what_was_altered_meanwhile_is_still_asked_about() -> None:
    """Only what is gone may be left out: another form of the same object does not excuse that it could not be read."""

    def refuse(_row: tuple[str, int]) -> list[str]:
        raise Inconclusive("cannot be read")

    gone = while_listed(refuse, lambda: [("other", 1)], lambda row: row[0])
    altered = while_listed(refuse, lambda: [("same", 2)], lambda row: row[0])
    assert gone(("same", 1)) == []
    with pytest.raises(Inconclusive, match="cannot be read"):
        altered(("same", 1))
