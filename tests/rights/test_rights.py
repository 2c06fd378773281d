"""Rights in a real database against a declared list: each way in which a right comes is in the difference, alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.rights.state import RightsState

if TYPE_CHECKING:
    from tests.rights.conftest import RightsServer


def test_what_was_captured_is_no_difference(rights: RightsServer) -> None:
    """The list says what is there, and is short where a whole schema is alike."""
    text = rights.text()
    assert rights.review(rights.declared()).text == "no difference"
    assert '"OWNER ON ALL TABLES IN SCHEMA sales"' in text
    assert '"SELECT ON TABLE sales.orders"' in text
    assert "events_1" not in text  # a partition is covered by its table
    assert "pg_monitor" not in text  # the server's own roles, as they come


def test_trap_25_a_predefined_role_is_reached_through_another_role(rights: RightsServer) -> None:
    """No table grants it, and kim reads everything."""
    with rights.changed("GRANT pg_read_all_data TO support", undo=("REVOKE pg_read_all_data FROM support",)) as (
        more,
        less,
    ):
        assert more == [
            "support: member of pg_read_all_data (INHERIT, SET), which allows SELECT ON ALL TABLES; through it also kim"
        ]
        assert not less


@pytest.mark.parametrize(
    ("statement", "undo", "found"),
    [
        (
            "GRANT SELECT ON salaries TO PUBLIC",
            "REVOKE SELECT ON salaries FROM PUBLIC",
            "PUBLIC: SELECT ON TABLE public.salaries, granted by postgres",
        ),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA sales GRANT SELECT ON TABLES TO lee",
            "ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA sales REVOKE SELECT ON TABLES FROM lee",
            "lee: SELECT ON FUTURE TABLES IN SCHEMA sales BY owner, granted by owner",
        ),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT EXECUTE ON FUNCTIONS TO lee",
            "ALTER DEFAULT PRIVILEGES FOR ROLE owner REVOKE EXECUTE ON FUNCTIONS FROM lee",
            "lee: EXECUTE ON FUTURE FUNCTIONS BY owner, granted by owner",
        ),
        (
            "GRANT support TO lee WITH INHERIT FALSE, SET TRUE",
            "REVOKE support FROM lee",
            "lee: member of support (SET)",
        ),
    ],
    ids=["public", "default-in-schema", "default", "set-only"],
)
def test_trap_26_each_is_in_the_difference_and_nothing_else(
    rights: RightsServer, statement: str, undo: str, found: str
) -> None:
    """Rights of everybody, of tables to come, and of a role that must be taken on by SET ROLE."""
    with rights.changed(statement, undo=(undo,)) as (more, less):
        assert (more, less) == ([found], [])


@pytest.mark.parametrize(
    ("statement", "undo", "found"),
    [
        (
            "GRANT SELECT ON salaries TO support WITH GRANT OPTION",
            "REVOKE ALL ON salaries FROM support",
            "support: SELECT, GRANT OPTION FOR SELECT ON TABLE public.salaries, granted by postgres; through it also kim",  # noqa: E501
        ),
        (
            "GRANT SELECT (buyer) ON sales.orders TO lee",
            "REVOKE SELECT (buyer) ON sales.orders FROM lee",
            "lee: SELECT ON COLUMN sales.orders.buyer, granted by owner",
        ),
        ("ALTER TABLE salaries OWNER TO lee", "ALTER TABLE salaries OWNER TO postgres",
         "lee: OWNER ON TABLE public.salaries"),
        ("ALTER ROLE lee BYPASSRLS", "ALTER ROLE lee NOBYPASSRLS", "lee: BYPASSRLS"),
        ("ALTER ROLE lee CREATEROLE REPLICATION", "ALTER ROLE lee NOCREATEROLE NOREPLICATION", "lee: CREATEROLE"),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA sales TO lee", "REVOKE ALL ON ALL TABLES IN SCHEMA sales FROM lee",
         "lee: SELECT ON ALL TABLES IN SCHEMA sales, granted by owner"),
        ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO lee", "REVOKE ALL ON FUNCTION pg_read_file(text) FROM lee",
         "lee: EXECUTE ON FUNCTION pg_catalog.pg_read_file(text), granted by postgres"),
        ("GRANT SET ON PARAMETER log_statement TO lee", "REVOKE SET ON PARAMETER log_statement FROM lee",
         "lee: SET ON PARAMETER log_statement, granted by postgres"),
        ("GRANT CREATE ON TABLESPACE pg_default TO lee", "REVOKE CREATE ON TABLESPACE pg_default FROM lee",
         "lee: CREATE ON TABLESPACE pg_default, granted by postgres"),
        ("GRANT pg_execute_server_program TO kim WITH ADMIN OPTION", "REVOKE pg_execute_server_program FROM kim",
         "kim: member of pg_execute_server_program (INHERIT, SET, ADMIN), which allows COPY ... PROGRAM"),
        ("CREATE ROLE choi LOGIN IN ROLE support", "DROP ROLE choi",
         "choi: not declared: LOGIN, member of support (INHERIT, SET)"),
        ("ALTER ROLE support SUPERUSER", "ALTER ROLE support NOSUPERUSER", "support: SUPERUSER"),
        ("GRANT owner TO kim", "REVOKE owner FROM kim", "kim: member of owner (INHERIT, SET)"),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
         "PUBLIC: CREATE ON SCHEMA public, granted by pg_database_owner"),
        ("SELECT lo_create(77); GRANT SELECT ON LARGE OBJECT 77 TO lee", "SELECT lo_unlink(77)",
         "lee: SELECT ON LARGE OBJECTS OF postgres, granted by postgres"),
    ],
    ids=lambda value: value.split()[0] + "-" + str(len(value)) if isinstance(value, str) else None,
)  # fmt: skip
def test_every_kind_of_right_is_named(rights: RightsServer, statement: str, undo: str, found: str) -> None:
    """Role, right, object, and how it comes."""
    with rights.changed(statement, undo=(undo,)) as (more, less):
        assert more[:1] == [found]
        assert len(more) == (2 if "REPLICATION" in statement else 1)
        assert not less


@pytest.mark.parametrize(
    ("statement", "undo", "found"),
    [
        ("REVOKE SELECT ON sales.orders FROM support", "SET ROLE owner; GRANT SELECT ON sales.orders TO support",
         "support: SELECT ON TABLE sales.orders missing"),
        ("REVOKE support FROM kim", "GRANT support TO kim", "kim: member of support (INHERIT, SET) missing"),
        ("GRANT support TO kim WITH INHERIT FALSE", "GRANT support TO kim WITH INHERIT TRUE",
         "kim: member of support (INHERIT) missing"),
        ("ALTER ROLE kim NOLOGIN", "ALTER ROLE kim LOGIN", "kim: LOGIN missing"),
        ("DROP ROLE lee", "CREATE ROLE lee LOGIN", "lee: declared, and no such role"),
        ("REVOKE EXECUTE ON FUNCTION raise_all(int) FROM PUBLIC", "GRANT EXECUTE ON FUNCTION raise_all(int) TO PUBLIC",
         "PUBLIC: EXECUTE ON FUNCTION public.raise_all(percent integer) missing"),
        ("CREATE SCHEMA other; ALTER TABLE sales.lines SET SCHEMA other",
         "ALTER TABLE other.lines SET SCHEMA sales; DROP SCHEMA other", ""),
        ("DROP FUNCTION raise_all(int)", "CREATE FUNCTION raise_all(percent int) RETURNS int RETURN 1",
         "PUBLIC: EXECUTE ON FUNCTION public.raise_all(percent integer) missing, no such object"),
    ],
    ids=["grant", "membership", "inherit", "attribute", "role", "public", "moved", "dropped"],
)  # fmt: skip
def test_what_is_gone_is_named(rights: RightsServer, statement: str, undo: str, found: str) -> None:
    """A right that was declared and is missing is an outage to come."""
    with rights.changed(statement, undo=(undo,)) as (_, less):
        assert less == ([found] if found else [])


def test_another_way_to_the_same_right_is_no_difference(rights: RightsServer) -> None:
    """What counts is what a role may do: granted to kim too, or covered by ownership, nothing has changed."""
    with rights.changed(
        "GRANT SELECT ON sales.orders TO kim",
        "GRANT SELECT (id) ON sales.orders TO kim",
        "GRANT EXECUTE ON FUNCTION raise_all(int) TO lee",
        undo=("REVOKE ALL ON sales.orders FROM kim", "REVOKE ALL ON FUNCTION raise_all(int) FROM lee"),
    ) as (more, less):
        assert (more, less) == ([], [])


def test_tables_to_come_of_a_whole_schema_are_declared(rights: RightsServer) -> None:
    """A new table, and a new partition, of the owner of all is nothing new; one of another role is."""
    with rights.changed(
        "SET ROLE owner; CREATE TABLE sales.events_2 PARTITION OF sales.events"
        " FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        "SET ROLE owner; CREATE TABLE sales.returns (id int)",
        undo=("DROP TABLE sales.events_2, sales.returns",),
    ) as (more, less):
        assert (more, less) == ([], [])


def test_thousands_of_tables_are_a_few_lines(rights: RightsServer) -> None:
    """Identical rights of a schema are one row of the query and one line of the list."""
    rights.run(
        "CREATE SCHEMA wide; DO $$ BEGIN FOR n IN 1..2000 LOOP"
        " EXECUTE format('CREATE TABLE wide.t%s (id int)', n); END LOOP; END $$",
        "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA wide TO lee",
    )
    text = rights.text()
    assert '"SELECT, INSERT ON ALL TABLES IN SCHEMA wide"' in text
    assert "wide.t" not in text
    declared = rights.declared()
    rights.run("GRANT UPDATE ON ALL TABLES IN SCHEMA wide TO lee; GRANT DELETE ON wide.t7 TO lee")
    assert [str(one) for one in rights.review(declared).more] == [
        "lee: UPDATE ON ALL TABLES IN SCHEMA wide, granted by postgres",
        "lee: DELETE ON TABLE wide.t7, granted by postgres",
    ]
    rights.run("DROP SCHEMA wide CASCADE")


def test_a_superuser_is_one_word(rights: RightsServer) -> None:
    """What a superuser owns or is granted adds nothing."""
    state = RightsState.of(rights.probe)
    assert state.own("postgres") == {}
    assert '[roles.postgres]\nattributes = [\n    "BYPASSRLS",' in rights.text()
    assert "OWNER ON TABLE public.salaries" not in rights.text()


def test_a_role_that_is_called_public_is_not_everybody(rights: RightsServer) -> None:
    """What it is granted is its own; everybody has none of it."""
    rights.run('CREATE ROLE "PUBLIC" LOGIN', 'GRANT SELECT ON salaries TO "PUBLIC"')
    try:
        declared = rights.declared()
        assert "salaries" not in str(declared.roles.get("PUBLIC"))
        assert "salaries" in str(declared.roles['"PUBLIC"'].rights)
    finally:
        rights.run('DROP OWNED BY "PUBLIC"', 'DROP ROLE "PUBLIC"')
