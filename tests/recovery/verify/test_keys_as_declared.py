"""Keys are proven as they were declared: for their own table, by their own operators and collations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.recovery.verify.consistency import check_foreign_keys, check_sequences, check_unique_keys
from opsverify.recovery.verify.questions import production_of
from tests.support.ledgers import history, record

if TYPE_CHECKING:
    from tests.support.clones import Clone

PARENTS = ("CREATE TABLE x (id int PRIMARY KEY)",)


@pytest.mark.parametrize(
    "schema",
    [
        ("CREATE TABLE pa (id int PRIMARY KEY)", "CREATE TABLE ch (PRIMARY KEY (id)) INHERITS (pa)",
         "INSERT INTO pa VALUES (1)", "INSERT INTO ch VALUES (1)"),
        (*PARENTS, "CREATE TABLE pa (x int REFERENCES x)", "CREATE TABLE ch () INHERITS (pa)",
         "INSERT INTO ch VALUES (99)"),
        (*PARENTS, "CREATE TABLE y (x int)", "INSERT INTO y VALUES (99)",
         "ALTER TABLE y ADD FOREIGN KEY (x) REFERENCES x NOT VALID"),
        ("CREATE EXTENSION citext", "CREATE TABLE x (id citext PRIMARY KEY)",
         "CREATE TABLE y (x citext REFERENCES x)", "INSERT INTO x VALUES ('Abc')", "INSERT INTO y VALUES ('aBC')"),
    ],
    ids=["key of parent and child", "orphan in a child", "never validated", "operator of an extension"],
)  # fmt: skip
def test_what_a_key_does_not_bind_is_no_problem(clone: Clone, schema: tuple[str, ...]) -> None:
    """Nothing of it was lost."""
    clone.run(*schema)
    assert check_unique_keys(clone.source).problems == ()
    assert check_foreign_keys(clone.source).problems == ()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ((*PARENTS, "CREATE TABLE xc () INHERITS (x)", "CREATE TABLE y (x int REFERENCES x)",
          "INSERT INTO x VALUES (1)", "INSERT INTO y VALUES (1)", "SET session_replication_role = replica",
          "DELETE FROM x", "INSERT INTO xc VALUES (1)"), "1 rows refer to no row of public.x"),
        (("CREATE EXTENSION citext", "CREATE TABLE x (id citext PRIMARY KEY)",
          "CREATE TABLE y (x citext REFERENCES x)", "SET session_replication_role = replica",
          "INSERT INTO y VALUES ('aBC')"), "1 rows refer to no row of public.x"),
        (("CREATE TABLE par (id int) PARTITION BY RANGE (id)", "CREATE TABLE p1 PARTITION OF par DEFAULT", *PARENTS,
          "ALTER TABLE par ADD FOREIGN KEY (id) REFERENCES x", "SET session_replication_role = replica",
          "INSERT INTO par VALUES (7)"), "1 rows refer to no row of public.x"),
    ],
    ids=["parent only in a child", "operator of an extension", "partition"],
)  # fmt: skip
def test_what_a_key_binds_is_found(clone: Clone, damage: tuple[str, ...], problem: str) -> None:
    """Also where a row of a child table has the value."""
    clone.run(*damage)
    assert problem in str(check_foreign_keys(clone.source).problems)


def test_an_index_compares_by_its_own_collation(clone: Clone) -> None:
    """Values that are equal to the column are different ones to the index."""
    clone.run(
        "CREATE TABLE u (v text)",
        'CREATE UNIQUE INDEX ui ON u (v COLLATE "C")',
        'CREATE UNIQUE INDEX "u%s" ON u ((lower(v)), v COLLATE "POSIX" DESC) WHERE v <> \'\'',
        "INSERT INTO u VALUES ('A'), ('a')",
    )
    assert check_unique_keys(clone.source).problems == ()
    clone.run("UPDATE pg_index SET indislive = false, indisready = false WHERE indrelid = 'u'::regclass",
              "INSERT INTO u VALUES ('a')")  # fmt: skip
    assert len(check_unique_keys(clone.source).problems) == 2


def test_one_object_does_not_stop_a_capture(clone: Clone) -> None:
    """A percent in a name, and a schema that this role may not use."""
    clone.run('CREATE TABLE "100%s" (id serial PRIMARY KEY)', 'INSERT INTO "100%s" DEFAULT VALUES',
              "CREATE SCHEMA hidden", "CREATE TABLE hidden.t (id serial)", "INSERT INTO hidden.t DEFAULT VALUES",
              "GRANT SELECT ON ALL TABLES IN SCHEMA hidden TO plant_reader",
              "GRANT SELECT ON ALL SEQUENCES IN SCHEMA hidden TO plant_reader")  # fmt: skip
    assert check_sequences(clone.source).problems == ()
    assert history(record(clone, chosen={})).sequences['public."100%s_id_seq"'].last == 1
    clone.run("SET ROLE plant_reader")
    try:
        assert production_of(clone.source)["sequences"] == []
        assert "hidden.t_id_seq" in str(check_sequences(clone.source).unknown)
    finally:
        clone.run("RESET ROLE")
