"""Faults in which two regions differ in more than rows, or are described otherwise than they are."""

from __future__ import annotations

import datetime as dt
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tomli_w

from sandbox.regions.ground import ORIGINAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.regions.pair import Regions


@dataclass(frozen=True)
class TwinFaults:
    """Faults of `regions` by name."""

    regions: Regions

    @contextmanager
    def index_dropped(self) -> Iterator[None]:
        """The original region's database lacks a primary key."""
        with self.regions.server(ORIGINAL).cluster.superuser() as database:
            database.execute("ALTER TABLE fact_daily_production DROP CONSTRAINT fact_daily_production_pkey")
            yield
            database.execute("ALTER TABLE fact_daily_production ADD PRIMARY KEY (date, line_code)")

    @contextmanager
    def grant_revoked(self) -> Iterator[None]:
        """The application may not update a table in the original region any more."""
        with self.regions.server(ORIGINAL).cluster.superuser() as database:
            database.execute("REVOKE UPDATE ON fact_daily_production FROM judgment_app")
            yield
            database.execute("GRANT UPDATE ON fact_daily_production TO judgment_app")

    @contextmanager
    def sequence_behind(self) -> Iterator[None]:
        """A sequence of the original region would give numbers again."""
        with self.regions.server(ORIGINAL).cluster.superuser() as database:
            row = database.execute("SELECT last_value FROM workflow_instances_id_seq").fetchone()
            assert row
            database.execute("SELECT setval('workflow_instances_id_seq', 10)")
            yield
            database.execute("SELECT setval('workflow_instances_id_seq', %s)", (row[0],))

    @contextmanager
    def slot_dead(self) -> Iterator[None]:
        """A replication slot that nobody reads keeps WAL in the original region."""
        with self.regions.server(ORIGINAL).cluster.superuser() as database:
            database.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
            yield
            database.execute("SELECT pg_drop_replication_slot('forgotten')")

    @contextmanager
    def table_unlisted(self) -> Iterator[None]:
        """A table that the DR region wrote is not among those that are compared."""
        text = self.regions.target.read_text(encoding="utf-8")
        content = tomllib.loads(text)
        content["regions"]["tables"] = [
            table for table in content["regions"]["tables"] if table["name"] != "workflow_instances"
        ]
        with replaced(self.regions.target, tomli_w.dumps(content)):
            yield

    @contextmanager
    def one_server(self) -> Iterator[None]:
        """Both regions are configured as one server."""
        content = tomllib.loads(self.regions.target.read_text(encoding="utf-8"))
        content["regions"]["dr"]["database"] = content["regions"]["original"]["database"]
        with replaced(self.regions.target, tomli_w.dumps(content)):
            yield

    @contextmanager
    def outage_late(self) -> Iterator[None]:
        """The outage is said to have been a millisecond before the switch."""
        content = tomllib.loads(self.regions.target.read_text(encoding="utf-8"))
        content["regions"]["outage_at"] = content["regions"]["switched_at"] - dt.timedelta(milliseconds=1)
        with replaced(self.regions.target, tomli_w.dumps(content)):
            yield


@contextmanager
def replaced(path: Path, text: str) -> Iterator[None]:
    """Give `path` the content `text` for a while."""
    before = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    yield
    path.write_text(before, encoding="utf-8")
