"""Two copies compared place by place: whatever differs is found, and copies laid out otherwise are noticed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsverify.recovery.ledger.tables import TableChoice
from opsverify.recovery.verify.database_diff import compare_databases
from opsverify.recovery.verify.loss import Keys
from opsverify.recovery.verify.page_diff import suspects
from tests.support.ledgers import core_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable
    from tests.support.clones import Clone

ROWS = 45_000
SOME = st.sets(st.integers(1, ROWS + 3000), max_size=8)


def readings(clone: Clone) -> CoreTable:
    """The table of 45,000 readings, in some eleven places."""
    return core_table(clone.source, "readings", TableChoice(width=512))


def named(ids: Iterable[int]) -> tuple[str, ...]:
    """Keys as they are reported."""
    return tuple(str(one) for one in sorted(ids))


@settings(max_examples=15)
@given(lost=SOME, changed=SOME, added=st.integers(0, 3000))
def test_exactly_what_differs_is_found(
    clone: Clone, whole_source: Source, lost: set[int], changed: set[int], added: int
) -> None:
    """For any rows lost, changed and added, by place as by bucket: just those keys, and the buckets they are in."""
    core = readings(clone)
    with clone.session.transaction(force_rollback=True):
        clone.session.execute(
            "INSERT INTO readings SELECT n, 0, NULL FROM generate_series(%s::int, %s::int) n", (ROWS + 1, ROWS + added)
        )
        clone.session.execute("UPDATE readings SET value = -value WHERE id = ANY (%s)", (list(changed),))
        clone.session.execute("DELETE FROM readings WHERE id = ANY (%s)", (list(lost),))
        by_place = compare_databases(core, [whole_source], [clone.source])
        assert by_place == compare_databases(core, [whole_source], [clone.source], by_place=False)
        mirrored = compare_databases(core, [clone.source], [whole_source])[1]
        assert suspects(core, [whole_source], [clone.source]) is not None
    old = set(range(1, ROWS + 1))
    new = set(range(ROWS + 1, ROWS + added + 1))
    assert by_place[1] == Keys(named(lost & old), named(new - lost), named((changed & old) - lost))
    assert mirrored == Keys(named(new - lost), named(lost & old), named((changed & old) - lost))


def test_more_sessions_find_the_same(clone: Clone, whole_source: Source) -> None:
    """Places shared among the sessions of a side are all read, whichever session gets which."""
    core = readings(clone)
    clone.run("DELETE FROM readings WHERE id IN (3, 44999)")
    with ExitStack() as opened:
        more = [opened.enter_context(psycopg.connect(clone.session.info.dsn, autocommit=True)) for _ in range(2)]
        others = [type(clone)(clone.server, clone.name, clone.data, session).source for session in more]
        wrong, keys = compare_databases(core, [whole_source], [clone.source, *others])
    assert [name for name, _, _ in wrong] == ["0", "44544"]
    assert keys == Keys(missing=("3", "44999"))


@pytest.mark.parametrize(
    "anew",
    [
        "INSERT INTO readings SELECT * FROM kept ORDER BY id DESC",
        "INSERT INTO readings SELECT * FROM kept WHERE id > 5000 UNION ALL SELECT * FROM kept WHERE id <= 5000",
    ],
)
def test_rows_laid_out_otherwise_are_compared_by_bucket(clone: Clone, whole_source: Source, anew: str) -> None:
    """A copy whose rows were written anew is not suspected whole: it is grouped, and found to be the same."""
    core = readings(clone)
    clone.run("CREATE TABLE kept AS SELECT * FROM readings", "TRUNCATE readings", anew)
    assert suspects(core, [whole_source], [clone.source]) is None
    assert compare_databases(core, [whole_source], [clone.source]) == ([], Keys())
    clone.run("UPDATE readings SET place = NULL WHERE id = 9")
    assert compare_databases(core, [whole_source], [clone.source])[1] == Keys(changed=("9",))


def test_rows_that_only_moved_do_not_differ(clone: Clone, whole_source: Source) -> None:
    """A place whose rows were written again elsewhere differs; its buckets do not."""
    core = readings(clone)
    clone.run("UPDATE readings SET value = value WHERE id BETWEEN 1000 AND 1100")
    assert suspects(core, [whole_source], [clone.source]) == ()


def test_a_table_lost_to_its_last_row_is_found(clone: Clone, whole_source: Source) -> None:
    """A table without pages cannot be compared by place, and is not passed over."""
    core = readings(clone)
    clone.run("TRUNCATE readings")
    assert suspects(core, [whole_source], [clone.source]) is None
    assert len(compare_databases(core, [whole_source], [clone.source])[1].missing) == ROWS
