"""Heap pages that held rows when recorded, and what that proves of a copy: lost, or emptied for a reason."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from opsverify.recovery.ledger.heap_pages import PageRange
from opsverify.recovery.verify.lost_pages import check_pages
from tests.support.ledgers import heaps, history, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.recovery.verify.finding import Finding
    from tests.support.clones import Clone

LOOSE = (
    "CREATE TABLE loose (note text)",
    "INSERT INTO loose SELECT repeat('z', 200) FROM generate_series(1, 3000)",
)
"""A table that nobody has vacuumed, without an index and without a column to make buckets of: 89 pages."""
TOUCHED = ("UPDATE loose SET note = 'short' WHERE ctid = '(0,1)'", "SELECT pg_stat_force_next_flush()")
"""From now on PostgreSQL's statistics know that rows of it come and go."""


def _clean(answer: Finding) -> bool:
    return (answer.problems, answer.unknown) == ((), None)


def test_a_zeroed_page_without_an_index_is_lost(clone: Clone) -> None:
    """Table, page and rows are named: by the record where the visibility map does not have it."""
    clone.run(*LOOSE)
    recorded = history(record(clone))
    assert _clean(heaps(clone, recorded))
    clone.zero("loose", 7)
    answer = heaps(clone, recorded)
    assert answer.problems == ("public.loose: page 7 all zero: held rows when recorded; 34 rows recorded there",)
    (loss,) = answer.losses
    assert (loss.table, loss.where, loss.recorded, loss.found) == ("public.loose", "7", 34, 0)
    again = check_pages(recorded, clone.source)
    assert again.problems == ()
    assert "public.loose: page 7 held rows when recorded, empty now (34 rows recorded there)" in str(again.unknown)


def test_a_lost_tail_without_an_index_is_lost(clone: Clone) -> None:
    """Asked of the running database and of its files: also the last page of a table with more than 64."""
    clone.run(*LOOSE)
    recorded = history(record(clone))
    clone.cut("loose", 2)
    for answer in (heaps(clone, recorded), check_pages(recorded, clone.source)):
        (problem,) = answer.problems
        assert problem.startswith("public.loose lost its tail: 87 pages, at least 89 recorded; 42 rows recorded there")
        assert answer.losses[0].where == "87-88"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (("zero", "plain", 1), "public.plain: page 1 all zero: was in use by the visibility map"),
        (("cut", "plain", 1), "public.plain lost its tail: 8 pages, the visibility map has 9"),
    ],
)
def test_the_visibility_map_knows_pages_without_a_record(clone: Clone, damage: tuple[str, str, int], said: str) -> None:
    """A vacuumed table needs no ledger for it: PostgreSQL notes only pages that were in use."""
    how, table, number = damage
    getattr(clone, how)(table, number)
    assert heaps(clone).problems == (said,)


def test_a_zeroed_page_that_nothing_knows_is_unknown(clone: Clone) -> None:
    """Without record, map and index it is not known whether it held rows; that is no pass."""
    clone.run(*LOOSE)
    clone.zero("loose", 7)
    assert heaps(clone).problems == ()
    assert "public.loose (page 7): zeroed pages in a table without an index" in str(heaps(clone).unknown)


def test_untouched_neighbours_prove_that_a_page_was_never_given_back(clone: Clone) -> None:
    """Where rows come and go, a page behind it that is older than the record says that VACUUM cut nothing off."""
    clone.run(*LOOSE, *TOUCHED)
    recorded = history(record(clone))
    assert not recorded.pages["public.loose"].only_grows
    clone.zero("loose", 7)
    assert heaps(clone, recorded).problems == (
        "public.loose: page 7 all zero: held rows when recorded; 34 rows recorded there",
    )
    assert _clean(check_pages(recorded, clone.source))  # rows may be deleted there at any time


@pytest.mark.parametrize(
    "change",
    [
        ("DELETE FROM loose WHERE ctid < '(5,0)'",),
        ("DELETE FROM loose WHERE ctid < '(5,0)'", "VACUUM loose"),
        ("DELETE FROM loose WHERE ctid > '(50,0)'", "VACUUM loose"),
        ("DELETE FROM loose", "VACUUM loose"),
        ("DELETE FROM loose WHERE ctid > '(50,0)'", "VACUUM FULL loose"),
        ("TRUNCATE loose",),
        ("ALTER TABLE loose ALTER note TYPE varchar(300)", 'ALTER TABLE loose ALTER note TYPE text COLLATE "C"'),
        ("UPDATE loose SET note = note || '.'",),
    ],
    ids=["deleted", "vacuumed", "shortened", "emptied", "rewritten", "truncated", "altered", "updated"],
)
def test_what_was_deleted_or_rewritten_is_no_loss(clone: Clone, change: tuple[str, ...]) -> None:
    """Neither in the files nor in the running database, whatever of it happened after the record."""
    clone.run(*LOOSE, *TOUCHED)
    recorded = history(record(clone))
    clone.run(*change)
    assert _clean(heaps(clone, recorded))
    assert _clean(check_pages(recorded, clone.source))


def test_rows_deleted_for_the_first_time_leave_a_doubt_that_the_files_resolve(clone: Clone) -> None:
    """From a table that only grew: the database cannot tell a deleted page from a zeroed one, its file can."""
    clone.run(*LOOSE)
    recorded = history(record(clone))
    with clone.session.transaction():  # what it deletes is counted in the statistics after its end only
        clone.run("DELETE FROM loose WHERE ctid < '(5,0)'")
        found = check_pages(recorded, clone.source)
    assert found.problems == ()
    assert "public.loose: pages 0-4 held rows when recorded, empty now (170 rows recorded there)" in str(found.unknown)
    assert _clean(heaps(clone, recorded))
    clone.run("SELECT pg_stat_force_next_flush()")
    assert _clean(check_pages(recorded, clone.source))  # its statistics say that rows are deleted here


def test_a_page_given_back_and_never_used_again_is_a_doubt(clone: Clone) -> None:
    """VACUUM shortened the table, PostgreSQL extended it ahead of need: the same bytes as a page that was lost."""
    clone.run(*LOOSE, *TOUCHED)
    recorded = history(record(clone))
    clone.run("DELETE FROM loose", "VACUUM loose", "CHECKPOINT")
    with clone.path("loose").open("ab") as file:
        file.write(bytes(20 * 8192))
    answer = heaps(clone, recorded)
    assert answer.problems == ()
    assert "public.loose: pages 0-19 held rows when recorded, all zero now: lost, or given back by VACUUM" in str(
        answer.unknown
    )


def test_pages_that_were_empty_when_recorded_are_no_loss(clone: Clone) -> None:
    """PostgreSQL extends a table ahead of need: pages of zeros may lie before others for ever."""
    clone.run(*LOOSE, "CHECKPOINT")
    clone.zero("loose", 7)
    assert _clean(heaps(clone, history(record(clone))))


def test_rows_of_many_pages_are_counted_together(clone: Clone) -> None:
    """Of a table too large for a number each: what is left of the stretch says how many are gone at least."""
    clone.run(*LOOSE)
    recorded = history(record(clone))
    pages = recorded.pages["public.loose"]
    coarse = replace(pages, runs=(PageRange(0, 87, 2992, even=False), pages.runs[-1]))
    recorded.pages["public.loose"] = coarse
    clone.zero("loose", 7)
    (problem,) = heaps(clone, recorded).problems
    assert problem.endswith("page 7 all zero: held rows when recorded; at least 34 rows are gone")
    recorded.pages["public.loose"] = replace(coarse, only_grows=False)
    assert heaps(clone, recorded).losses == ()


def _pages_read(clone: Clone, read: list[int]) -> Callable[..., list[tuple[Any, ...]]]:
    """Ask like the clone, and note how many blocks of tables each statement on pages touched."""

    def source(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        if "ctid >=" in sql:
            ((explained,),) = clone.source(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", values)
            plan = explained[0]["Plan"]
            read.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
        return clone.source(sql, values)

    return source


def test_a_later_capture_reads_new_pages_only(clone: Clone) -> None:
    """The cost follows what was written: of each table the last known page, and those behind it."""
    clone.run(*LOOSE)
    first = record(clone)
    clone.run("INSERT INTO loose SELECT repeat('z', 200) FROM generate_series(1, 340)")
    read: list[int] = []
    second = record(clone, first, source=_pages_read(clone, read))
    tables, size = len(second["pages"]), second["pages"]["public.loose"]["pages"]
    assert 97 <= size <= 100
    assert sum(read) <= (size - 88) + (tables - 1)
    assert second["pages"]["public.loose"]["runs"][-1][1] == size - 1
    both = history(first, second).pages["public.loose"]
    assert sum(run.rows for run in both.runs) == 3340
    assert {page for run in both.runs for page in range(run.first, run.last + 1)} == {*range(size)}
    clone.zero("loose", 95)
    assert (
        "public.loose: page 95 all zero: held rows when recorded; 34 rows recorded there"
        in heaps(clone, history(first, second)).problems[0]
    )


def test_pages_of_a_transaction_under_way_are_looked_at_again(clone: Clone) -> None:
    """They are empty to the first capture, and behind what it has read; the second one records them all the same."""
    clone.run(*LOOSE)
    where = f"host={clone.server.socket_dir} user=postgres dbname={clone.name}"
    with psycopg.connect(where) as other:
        other.execute("INSERT INTO loose SELECT repeat('w', 200) FROM generate_series(1, 340)")
        clone.run("INSERT INTO loose SELECT repeat('z', 2000) FROM generate_series(1, 40)")
        first = record(clone)
        other.commit()
    last = first["pages"]["public.loose"]["pages"]
    held = {page for first, end, *_ in first["pages"]["public.loose"]["runs"] for page in range(first, end + 1)}
    assert len(held) < last
    both = history(first, record(clone, first)).pages["public.loose"]
    assert 3354 <= sum(run.rows for run in both.runs) <= 3380  # the page that both wrote to is not counted anew
    assert {page for run in both.runs for page in range(run.first, run.last + 1)} == {*range(last)}


def test_a_table_that_became_shorter_or_another_file_is_read_anew(clone: Clone) -> None:
    """Old pages say nothing of what is there now."""
    clone.run(*LOOSE)
    first = record(clone)
    clone.run("DELETE FROM loose WHERE ctid > '(50,0)'", "VACUUM loose")
    second = record(clone, first)
    assert second["pages"]["public.loose"]["runs"] == [[0, 48, 1666, True], [49, 49, 34, True]]
    clone.run("VACUUM FULL loose")
    third = record(clone, second)
    assert third["pages"]["public.loose"]["since"] == 0
    assert sum(run.rows for run in history(first, second, third).pages["public.loose"].runs) == 1700


def test_what_was_read_behind_the_recovery_target_does_not_count(clone: Clone) -> None:
    """Rows committed while a capture was under way are not expected back; the record before it still counts."""
    clone.run(*LOOSE)
    first, second = record(clone), record(clone)
    until = dt.datetime.fromisoformat(second["pages_read"]["until"]) - dt.timedelta(microseconds=1)
    joined = type(history(first)).of(enumerate((first, second), 1), until)
    assert joined.captured_at.isoformat() == second["captured_at"]
    assert joined.pages == history(first).pages


def test_a_record_of_an_earlier_version_stays_readable(clone: Clone) -> None:
    """It counts pages and nothing else: a shorter table shows, and the next capture records the rest."""
    clone.run(*LOOSE)
    body = record(clone)
    counted = {
        name: {key: one[key] for key in ("pages", "only_grows", "unlogged")} for name, one in body["pages"].items()
    }
    old = {name: value for name, value in body.items() if name != "pages_read"} | {"pages": counted}
    newer = record(clone, old)
    assert history(old, newer).pages["public.loose"].runs == history(newer).pages["public.loose"].runs != ()
    clone.cut("loose", 1)
    for answer in (heaps(clone, history(old)), check_pages(history(old), clone.source)):
        assert answer.problems == ("public.loose lost its tail: 88 pages, at least 89 recorded",)


def test_a_role_that_only_reads_records_what_it_may_see(clone: Clone) -> None:
    """SELECT on a table is all that its pages need; of others their number is recorded."""
    clone.run(*LOOSE, "GRANT SELECT ON loose TO plant_reader", "SET ROLE plant_reader")
    try:
        recorded = history(record(clone, chosen={}))
    finally:
        clone.run("RESET ROLE")
    assert sum(run.rows for run in recorded.pages["public.loose"].runs) == 3000
    assert recorded.pages["public.plain"].runs == ()
    clone.zero("loose", 7)
    assert "page 7 all zero" in heaps(clone, recorded).problems[0]
