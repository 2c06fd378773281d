"""Damage beside the rows' content: keys, references, sequences, catalog, pages; each on a copy of its own."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from test_returned_buckets import again, history, record

from opsverify.recovery.returned import KINDS, consistency, physical
from opsverify.recovery.returned.finding import found
from opsverify.recovery.returned.pages import Held, Pages, read_pages
from opsverify.recovery.returned.reread import catalog_again, pages_again

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clones import Clone

    from opsverify.recovery.returned import Finding, History

RELATIONS = {
    "sequences": consistency.sequences,
    "foreign_keys": consistency.foreign_keys,
    "unique_keys": consistency.unique_keys,
    "validity": consistency.validity,
}
WITHOUT_INDEX = (
    "UPDATE pg_index SET indisready = false WHERE indexrelid = '{0}'::regclass",
    "{1}",
    "UPDATE pg_index SET indisready = true WHERE indexrelid = '{0}'::regclass",
)
"""Write behind an index's back, so that it lacks the entry."""


def behind_the_back(index: str, statement: str) -> tuple[str, ...]:
    """Statements by which `index` does not see what `statement` writes."""
    return tuple(part.format(index, statement) for part in WITHOUT_INDEX)


def _heaps(clone: Clone, recorded: History | None = None) -> Finding:
    baseline = recorded.pages if recorded else {}
    return found(partial(physical.heaps, clone.source, clone.data, psycopg.Error, baseline), errors=psycopg.Error)


def test_a_whole_copy_is_consistent(clone: Clone) -> None:
    """Nothing is found, and everything was asked after."""
    for ask in RELATIONS.values():
        answer = ask(clone.source)
        assert (answer.problems, answer.unknown) == ((), None)
        assert answer.asked > 0
    assert consistency.unlogged(clone.source, {}).problems == ()
    heaps = _heaps(clone)
    assert (heaps.problems, heaps.unknown) == ((), None)
    assert physical.amcheck(clone.server, clone.name).problems == ()


@pytest.mark.parametrize(
    ("damage", "name", "said"),
    [
        (("SELECT setval('events_id_seq', 7)",), "sequences", "events_id_seq is at 7, public.events.id holds 2400"),
        (("ALTER SEQUENCE events_id_seq RESTART",), "sequences", "is at 0, public.events.id holds 2400"),
        (("SET session_replication_role = replica", "DELETE FROM lines WHERE code = 'L03'"), "foreign_keys",
         "events_line_fkey: 400 rows refer to no row of public.lines, such as (L03)"),
        (behind_the_back("events_code_key", "INSERT INTO events (created_at, line, code, qty) "
                                            "VALUES (now(), 'L01', 'E9', 1)"), "unique_keys",
         "events_code_key: 1 rows too many, key (E9) more than once"),
        (behind_the_back("totals_pkey", "INSERT INTO totals SELECT * FROM totals WHERE line = 'L01'"), "unique_keys",
         "totals_pkey: 9 rows too many"),
        (("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'events_created_at'::regclass",), "validity",
         "index events_created_at is invalid"),
        (("ALTER TABLE events ADD CONSTRAINT small CHECK (qty < 9) NOT VALID",), "validity",
         "constraint events.small is not validated"),
        (("ALTER TABLE events DISABLE TRIGGER ALL",), "validity", "trigger events.events_touch is disabled"),
    ],
)  # fmt: skip
def test_what_does_not_hold_together_is_named(clone: Clone, damage: tuple[str, ...], name: str, said: str) -> None:
    """By the table, the key or the object, whatever an index or a flag in the catalog says."""
    clone.run(*damage)
    clone.run("RESET session_replication_role")
    problems = RELATIONS[name](clone.source).problems
    assert any(said in problem for problem in problems), problems


def test_validate_says_ok_on_orphans_and_we_do_not(clone: Clone) -> None:
    """The reason for the anti-join: PostgreSQL trusts the flag."""
    clone.run(
        "SET session_replication_role = replica", "DELETE FROM lines WHERE code = 'L03'",
        "RESET session_replication_role", "ALTER TABLE events VALIDATE CONSTRAINT events_line_fkey",
    )  # fmt: skip
    assert len(consistency.foreign_keys(clone.source).problems) == 1


def test_a_sequence_that_may_not_be_read_is_unknown(clone: Clone) -> None:
    """The message says what to grant."""
    clone.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO plant_reader", "SET ROLE plant_reader")
    answer = consistency.sequences(clone.source)
    clone.run("RESET ROLE")
    assert answer.unknown == "no right to read public.events_id_seq: GRANT SELECT on the sequences"


def test_uniqueness_and_references_are_read_from_the_tables(clone: Clone) -> None:
    """No plan of theirs asks an index: the index may be what is wrong."""
    plans: list[str] = []

    def explaining(sql: str, values: dict[str, object]) -> list[tuple[object, ...]]:
        plans.extend(line for (line,) in clone.source(f"EXPLAIN {sql}", values))
        return clone.source(sql, values)

    clone.run("CREATE UNIQUE INDEX part ON events (code) WHERE qty > 50")
    consistency.unique_keys(explaining)
    consistency.foreign_keys(explaining)
    used = [line for line in plans if " on events" in line or " on lines" in line or " on totals" in line]
    assert len(used) >= 6
    assert all("Seq Scan" in line for line in used), used


@pytest.mark.parametrize(
    ("damage", "kind", "said"),
    [
        ("ALTER TABLE totals ALTER qty TYPE numeric(9, 2)", "columns", "public.totals.qty is 'numeric(9,2)', recorded"),
        ("ALTER TABLE events DROP CONSTRAINT positive", "constraints", "events.positive is missing (CHECK"),
        ("ALTER TABLE events ADD CONSTRAINT small CHECK (qty < 9) NOT VALID", "constraints", "events.small was not"),
        ("DROP INDEX events_created_at", "indexes", "public.events_created_at is missing (CREATE INDEX"),
        ("ALTER SEQUENCE events_id_seq INCREMENT 2", "sequences", "INCREMENT 2"),
        ("DROP EXTENSION hstore", "extensions", "hstore is missing (1.8 in public)"),
        ("DROP OWNED BY plant_app; DROP ROLE plant_app; CREATE ROLE plant_app_x LOGIN", "roles",
         "plant_app is missing (LOGIN INHERIT LIMIT -1 IN plant_reader)"),
        ("REVOKE SELECT ON totals FROM plant_reader", "grants", "relation public.totals is 'OWNER postgres"),
        ("ALTER TABLE events DISABLE ROW LEVEL SECURITY", "row_security", "public.events is missing (ENABLED)"),
        ("DROP POLICY reader ON events", "row_security", "public.events.reader is missing"),
        ("DROP TRIGGER events_touch ON events", "triggers", "events.events_touch is missing (CREATE TRIGGER"),
        ("CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD;END'", "routines",
         "touch() is"),
        ("ALTER TABLE plain SET UNLOGGED", "tables", "public.plain is 'UNLOGGED TABLE', recorded 'TABLE'"),
        ("ALTER DATABASE {name} SET work_mem = '1MB'", "settings", "in this database was not recorded (work_mem=1MB)"),
        ('ALTER TABLE lines ALTER name TYPE text COLLATE "C"', "collations", "pg_catalog.C was not recorded"),
    ],
)  # fmt: skip
def test_a_changed_catalog_is_named(clone: Clone, damage: str, kind: str, said: str) -> None:
    """Object by object, with what it was."""
    recorded = history(record(clone))
    clone.run(*damage.format(name=clone.name).split("; "))
    try:
        problems = {name: catalog_again(recorded, name, clone.source).problems for name in KINDS}
    finally:
        if kind == "roles":  # roles are the whole server's
            clone.run("DROP ROLE plant_app_x", "CREATE ROLE plant_app LOGIN", "GRANT plant_reader TO plant_app")
    assert any(said in problem for problem in problems[kind]), problems


def test_a_zeroed_page_is_found_where_every_tool_passes_it(clone: Clone) -> None:
    """pg_amcheck with all options says nothing; the table's index and the ledger do."""
    recorded = history(record(clone))
    clone.zero("events", 3)
    assert physical.amcheck(clone.server, clone.name).problems == ()
    (problem,) = _heaps(clone).problems
    assert "point into zeroed pages (3): these rows are lost" in problem
    assert again(recorded, "events", clone).problems


def test_a_lost_tail_is_found_where_every_tool_passes_it(clone: Clone) -> None:
    """pg_amcheck with all options says nothing; index, page count and ledger do."""
    recorded = history(record(clone))
    clone.cut("events", 2)
    assert physical.amcheck(clone.server, clone.name).problems == ()
    (problem,) = _heaps(clone).problems
    assert "public.events: events_" in problem
    assert "points behind the end of the table, which lost its tail" in problem
    lost = pages_again(recorded, clone.source, by_rows=True).problems
    assert any("public.events lost its tail" in line for line in lost)
    assert again(recorded, "events", clone).problems


def test_a_zeroed_page_without_an_index_is_known_from_the_baseline(clone: Clone) -> None:
    """By the restored file, and by whoever may only read; pg_amcheck with all options says nothing."""
    recorded = history(record(clone))
    clone.zero("plain", 1)
    assert physical.amcheck(clone.server, clone.name).problems == ()
    said = "public.plain: pages 1 held rows when they were recorded"
    assert _heaps(clone, recorded).problems == (f"{said}, and are all zero now",)
    assert pages_again(recorded, clone.source, by_rows=True).problems == (f"{said}, and hold none now",)


def test_a_lost_tail_without_an_index_is_known_from_the_baseline(clone: Clone) -> None:
    """Both by the number of pages and by which of them held rows."""
    recorded = history(record(clone))
    clone.cut("plain", 2)
    fewer, gone = pages_again(recorded, clone.source, by_rows=True).problems
    assert "public.plain lost its tail" in fewer
    assert gone == "public.plain: pages 7, 8 held rows when they were recorded, and hold none now"


def test_a_zeroed_page_of_which_nobody_knows_is_unknown(clone: Clone) -> None:
    """Without a capture, or in pages that came after it: never a pass."""
    recorded = history(record(clone))
    clone.run("INSERT INTO plain SELECT repeat('z', 200) FROM generate_series(1, 300)")
    clone.zero("plain", 10)
    for known in (None, recorded):
        heaps = _heaps(clone, known)
        assert heaps.problems == ()
        assert "public.plain (10)" in str(heaps.unknown)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM plain WHERE ctid < '(3,0)'; VACUUM plain",
        "DELETE FROM plain WHERE ctid >= '(5,0)'; VACUUM plain",
        "UPDATE plain SET note = 'n'; VACUUM plain",
        "DELETE FROM plain WHERE ctid < '(3,0)'; VACUUM FULL plain",
        "TRUNCATE plain",
    ],
)
def test_rows_that_were_removed_in_good_order_are_no_lost_pages(clone: Clone, change: str) -> None:
    """Pages emptied by VACUUM, cut off or rewritten: quiet, also where the statistics have not yet heard of it."""
    recorded = history(record(clone))
    clone.run(*change.split("; "), "SELECT pg_stat_force_next_flush()")
    heaps = _heaps(clone, recorded)
    assert (heaps.problems, heaps.unknown) == ((), None)


def test_a_later_capture_reads_only_new_pages_of_a_table_without_an_index(clone: Clone) -> None:
    """The baseline goes on where it ended, and is what one capture of everything would have been."""
    asked: list[str] = []

    def listening(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return clone.source(sql, values)

    before = read_pages(clone.source, {})
    held = before["public.plain"].held
    assert held is not None
    assert (held.reached, held.ranges) == (9, ((0, 8),))
    assert before["public.events"].held is None
    clone.run("INSERT INTO plain SELECT repeat('z', 200) FROM generate_series(1, 300)")
    after = read_pages(listening, before)
    assert [sql for sql in asked if "ctid >=" in sql and "'(9,0)'" not in sql] == []
    assert sum("'(9,0)'" in sql for sql in asked) == 1
    assert after["public.plain"].held == read_pages(clone.source, {})["public.plain"].held


def test_a_record_of_before_the_baseline_is_still_read() -> None:
    """Ledgers are append-only: what an earlier version wrote stays readable, and knows of no pages held."""
    early = {"pages": 3, "only_grows": True, "unlogged": False}
    assert Pages.of_json(early) == Pages(3, only_grows=True, unlogged=False)
    held = Pages(3, only_grows=True, unlogged=False, held=Held(7, 3, ((0, 1), (3, 3))))
    assert Pages.of_json(json.loads(json.dumps(held.as_json()))) == held


def test_pages_that_never_held_a_row_are_no_loss(clone: Clone) -> None:
    """PostgreSQL extends a table ahead of need: all-zero pages at its end may come, and not come back."""
    for name in ("events", "plain", "readings"):
        with clone.path(name).open("ab") as file:
            file.write(bytes(20 * 8192))
    recorded = history(record(clone))
    heaps = _heaps(clone)
    assert (heaps.problems, heaps.unknown) == ((), None)
    for name in ("events", "plain", "readings"):
        clone.cut(name, 20)
    assert pages_again(recorded, clone.source, by_rows=True).problems == ()


def test_an_index_that_lacks_entries_is_found(clone: Clone) -> None:
    """By pg_amcheck's comparison with the heap, and by counting the rows both ways."""
    clone.run(*behind_the_back("totals_pkey", "INSERT INTO totals VALUES (current_date, 'L07', 1)"))
    assert any("lacks matching index tuple" in line for line in physical.amcheck(clone.server, clone.name).problems)
    assert "public.totals: 55 rows in the table, 54 by totals_pkey" in _heaps(clone).problems


def test_a_page_that_fails_its_checksum_is_found(clone: Clone) -> None:
    """Reading it is damage, not a hole in knowledge; pg_amcheck names the relation."""
    recorded = history(record(clone))
    clone.flip("totals", 0)
    assert "invalid page in block 0" in again(recorded, "totals", clone).problems[0]
    problems = physical.amcheck(clone.server, clone.name).problems
    assert any("totals" in line and "invalid page" in line for line in problems), problems


def test_a_table_whose_file_is_gone_is_damage_and_a_missing_library_is_not(clone: Clone) -> None:
    """PostgreSQL has one SQLSTATE for both; what this machine lacks says nothing of the data."""
    gone = clone.path("totals")
    clone.run("CHECKPOINT", "SELECT pg_buffercache_evict_all()")
    gone.unlink()
    clone.session.execute("DISCARD ALL")
    answer = found(partial(consistency.unique_keys, clone.source), errors=psycopg.Error)
    assert any(gone.name in problem for problem in answer.problems), answer

    def load() -> Finding:
        clone.run("LOAD 'no_such_library'")
        raise AssertionError

    lacking = found(load, errors=psycopg.Error)
    assert (lacking.problems, "no_such_library" in str(lacking.unknown)) == ((), True)


def test_an_unlogged_table_that_held_rows_is_named(clone: Clone) -> None:
    """One that was empty when recorded has nothing to lose; one nobody recorded may have had."""
    clone.run("CREATE UNLOGGED TABLE draft (n int)")
    recorded = history(record(clone))
    assert consistency.unlogged(clone.source, recorded.pages).problems == ()
    assert "nothing recorded says" in consistency.unlogged(clone.source, None).problems[0]
    clone.run("ALTER TABLE plain SET UNLOGGED")
    (problem,) = consistency.unlogged(clone.source, recorded.pages).problems
    assert problem.startswith("public.plain is unlogged: it held 9 pages")
