"""Twins and divergence: what two regions have in common besides rows, and what contradicts itself."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from opsverify.errors import Inconclusive
from opsverify.recovery.ledger.queries import NAMES_ON
from opsverify.recovery.wal.touched import touched
from opsverify.switchback.divergence import (
    ServerIdentity,
    Written,
    clock_margin,
    contradiction,
    require_two_servers,
)
from opsverify.switchback.twins import (
    catalog_differences,
    commits_blocked,
    dead_slots,
    sequences_behind,
    standbys_without_slot,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.clones import Clone
    from tests.support.wreck import Disaster

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


class Asked:
    """A database as the probe gives it, as far as these functions ask it."""

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        self._session = session

    def rows(self, statement: str) -> list[Any]:
        """Rows as namedtuples."""
        with self._session.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(statement.encode()).fetchall()

    def row(self, statement: str) -> Any:  # noqa: ANN401 - a namedtuple
        """The only row."""
        return self.rows(statement)[0]


@pytest.fixture
def other(clone: Clone) -> Iterator[psycopg.Connection[Any]]:
    """The undamaged database that `clone` was copied from."""
    where = f"host={clone.server.socket_dir} user=postgres dbname=whole"
    with psycopg.connect(where, autocommit=True, options=f"-c search_path={NAMES_ON}") as session:
        yield session


def _source(session: psycopg.Connection[Any]) -> Callable[[str, Mapping[str, object]], list[tuple[Any, ...]]]:
    def source(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        with session.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
            return cursor.execute(sql.encode(), dict(values) or None).fetchall()

    return source


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("ALTER TABLE events DROP CONSTRAINT events_pkey", "constraints: public.events.events_pkey is missing"),
        ("REVOKE SELECT ON events FROM plant_reader", "grants: relation public.events is"),
        ("DROP INDEX events_created_at", "indexes: public.events_created_at is missing"),
        ("ALTER TABLE events DISABLE TRIGGER events_touch", "triggers: public.events.events_touch is"),
        ("DROP POLICY reader ON events", "row_security: public.events.reader is missing"),
        ("CREATE TABLE stray (id int)", "tables: public.stray was not recorded"),
    ],
)
def test_what_the_original_region_lacks_is_named(
    clone: Clone, other: psycopg.Connection[Any], damage: str, said: str
) -> None:
    """Every object of the DR region has to be in the original one, and no other."""
    assert catalog_differences(clone.source, _source(other)) == ()
    clone.run(damage)
    assert any(line.startswith(said) for line in catalog_differences(clone.source, _source(other)))


def test_a_sequence_behind_is_named(clone: Clone, other: psycopg.Connection[Any]) -> None:
    """It would give numbers again; one that is ahead is no fault."""
    original, dr = Asked(clone.session), Asked(other)
    assert sequences_behind(original, dr) == ()  # type: ignore[arg-type]
    clone.run("SELECT setval('events_id_seq', 10)")
    (line,) = sequences_behind(original, dr)  # type: ignore[arg-type]
    assert "public.events_id_seq is at 10, DR at 2400" in line
    assert sequences_behind(dr, original) == ()  # type: ignore[arg-type]
    assert sequences_behind(original, dr, follows=True) != ()  # type: ignore[arg-type]
    clone.run("SELECT setval('events_id_seq', 2370)")
    assert sequences_behind(original, dr, follows=True) == ()  # type: ignore[arg-type]
    clone.run("CREATE ROLE narrow", "SET ROLE narrow")
    with pytest.raises(Inconclusive, match="GRANT SELECT ON ALL SEQUENCES"):
        sequences_behind(original, dr)  # type: ignore[arg-type]
    clone.run("RESET ROLE", "DROP ROLE narrow")


def test_a_slot_that_nobody_reads_is_named(clone: Clone) -> None:
    """It keeps WAL until the disk is full."""
    database = Asked(clone.session)
    assert dead_slots(database) == ()  # type: ignore[arg-type]
    clone.run("SELECT pg_create_physical_replication_slot('forgotten', true)")
    (line,) = dead_slots(database)  # type: ignore[arg-type]
    assert line.startswith("forgotten (physical) keeps ")
    clone.run("SELECT pg_drop_replication_slot('forgotten')")
    assert standbys_without_slot(database) == ()  # type: ignore[arg-type]


def test_commits_that_would_wait_are_named(clone: Clone) -> None:
    """Synchronous replication to a standby that is not there."""
    database = Asked(clone.session)
    assert commits_blocked(database) is None  # type: ignore[arg-type]
    blocked = Asked(clone.session)
    row = type("Row", (), {"names": "dr", "level": "on", "standbys": 0})
    blocked.row = lambda _statement: row  # type: ignore[method-assign,assignment]
    assert "synchronous_standby_names = 'dr'" in str(commits_blocked(blocked))  # type: ignore[arg-type]


def _server(**changes: Any) -> ServerIdentity:  # noqa: ANN401 - fields
    fields: dict[str, Any] = {
        "system": "7",
        "started": NOON,
        "major": 18,
        "segment_size": 1 << 24,
        "ahead": dt.timedelta(),
    }
    return ServerIdentity(**fields | changes)


def test_two_regions_are_two_servers_of_one_cluster() -> None:
    """One server would be told to stop itself; two clusters, to discard one."""
    later = _server(started=NOON + SECOND)
    require_two_servers(_server(), later)
    with pytest.raises(Inconclusive, match=r"lead to one server.*stop nothing"):
        require_two_servers(_server(), _server())
    with pytest.raises(Inconclusive, match="of two clusters"):
        require_two_servers(_server(), _server(system="8", started=NOON + SECOND))
    with pytest.raises(Inconclusive, match=r"differ by 9\.0 s"):
        require_two_servers(_server(), _server(started=NOON + SECOND, ahead=9 * SECOND))


def test_the_margin_is_the_difference_of_the_clocks_and_what_asking_took() -> None:
    """Also where one clock is ahead of ours and the other behind."""
    ahead = _server(ahead=2 * SECOND, uncertain=SECOND / 10)
    assert clock_margin(ahead, _server(ahead=-SECOND, uncertain=SECOND / 5)) == 3.3 * SECOND
    assert clock_margin(_server(), _server()) == dt.timedelta(0)


def test_times_within_the_margin_contradict_nothing() -> None:
    """What lies within it is compared; what lies beyond is held against the given times."""
    written = Written((), NOON + SECOND, NOON + 6 * SECOND)
    assert contradiction(NOON + 2 * SECOND, NOON + 5 * SECOND, written, SECOND) is None
    assert contradiction(NOON + 2.1 * SECOND, NOON + 9 * SECOND, written, SECOND)
    assert contradiction(NOON, NOON + 4.9 * SECOND, written, SECOND)


@pytest.mark.parametrize(
    ("outage", "switched", "said"),
    [(0, 10, None), (10, 0, "is not before"), (2, 10, "before outage_at"), (0, 5, "after switched_at")],
)
def test_times_that_the_wal_contradicts_are_named(outage: int, switched: int, said: str | None) -> None:
    """The DR region committed from second 1 to second 6: all of it lies between outage and switch."""
    written = Written((), NOON + SECOND, NOON + 6 * SECOND)
    found = contradiction(NOON + outage * SECOND, NOON + switched * SECOND, written)
    assert (found is None) == (said is None)
    assert (said or "") in (found or "")


def test_wal_names_the_files_that_it_changes(disaster: Disaster) -> None:
    """Between two positions; a stretch that is not archived is not known."""
    backup, tools = disaster.backup, disaster.tools
    found = touched([disaster.archive], 1, backup.start_lsn, None, backup.segment_size, tools)
    assert len(found.files) >= 2  # marks and the heartbeat
    assert found.last_commit_at is not None
    assert disaster.between < found.last_commit_at < disaster.end
    with pytest.raises(Inconclusive, match="what was written in the DR region is not known"):
        touched([disaster.archive], 2, backup.start_lsn, backup.end_lsn, backup.segment_size, tools)
    start = backup.start_lsn // backup.segment_size * backup.segment_size
    assert touched([disaster.archive], 2, start, start + 0xA0, backup.segment_size, tools).files == frozenset()
