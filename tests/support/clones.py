"""Databases to be damaged, each a copy of one that is whole; and how tests ask them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from opsverify.recovery.ledger.queries import NAMES_ON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opsverify.recovery.postgres.server import Server

PAGE = 8192
EVICTS = 170000
"""The first version, as the server writes it, with `pg_buffercache_evict`."""

# Yesterday is not over as long as rows of it may still be committed: nothing is of a later day than the one before it.
WHOLE = """
CREATE ROLE plant_app LOGIN;
CREATE ROLE plant_reader;
CREATE EXTENSION hstore;
CREATE EXTENSION pg_buffercache;
CREATE TYPE mood AS ENUM ('fine', 'grim');
CREATE TABLE lines (code text PRIMARY KEY, name text NOT NULL);
INSERT INTO lines SELECT 'L0' || n, 'line ' || n FROM generate_series(1, 6) n;
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, created_at timestamptz NOT NULL,
    line text NOT NULL REFERENCES lines, code text UNIQUE, qty int NOT NULL CONSTRAINT positive CHECK (qty >= 0),
    note text, synthetic_tag text);
CREATE INDEX events_created_at ON events (created_at);
INSERT INTO events (created_at, line, code, qty, note)
    SELECT date_trunc('hour', now()) - interval '2 days' + n * interval '1 minute', 'L0' || 1 + n % 6, 'E' || n,
           n % 100, CASE WHEN n % 7 = 0 THEN '' WHEN n % 5 <> 0 THEN repeat('x', 80) END
      FROM generate_series(0, 2399) n;
CREATE TABLE totals (day date, line text, qty numeric, PRIMARY KEY (day, line));
INSERT INTO totals SELECT current_date - d, 'L0' || l, d * l FROM generate_series(2, 10) d, generate_series(1, 6) l;
CREATE TABLE readings (id int PRIMARY KEY, value float8, place point);
INSERT INTO readings SELECT n, n / 7.0, point(n, -n) FROM generate_series(1, 45000) n;
CREATE TABLE plain (note text);
INSERT INTO plain SELECT repeat('y', 200) FROM generate_series(1, 300);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER events_touch BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY reader ON events FOR SELECT TO plant_reader USING (true);
GRANT SELECT ON lines, events, totals TO plant_reader;
GRANT plant_reader TO plant_app;
VACUUM (FREEZE, ANALYZE);
"""


@dataclass
class Clone:
    """One copy: its `name`, and a session in it as superuser."""

    server: Server
    name: str
    data: Path
    session: psycopg.Connection[Any]

    def source(self, sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Ask, as the recovery code does."""
        self.session.execute(f"SET search_path = '{NAMES_ON}'".encode())
        try:
            return self.on_own_path(sql, values)
        finally:
            with suppress(psycopg.Error):
                self.session.execute("RESET search_path")

    def on_own_path(self, sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Ask, as validations are asked: names without a schema are found by the role's own search path."""
        cursor = self.session.execute(sql.encode(), dict(values) or None)
        return cursor.fetchall() if cursor.description else []

    def run(self, *statements: str) -> None:
        """Carry statements out."""
        for statement in statements:
            self.session.execute(statement.encode())

    def let_go(self) -> None:
        """Write all pages to the disk and keep none in memory, as after a restore. Skips the test before version 17."""
        if self.session.info.server_version < EVICTS:
            pytest.skip("a page leaves the memory of PostgreSQL 17 and later by command")
        self.run("CHECKPOINT", "SELECT count(pg_buffercache_evict(bufferid)) FROM pg_buffercache")

    def path(self, relation: str) -> Path:
        """Where the first file of a table or index is."""
        row = self.session.execute("SELECT pg_relation_filepath(%s)", (relation,)).fetchone()
        assert row
        return self.data / str(row[0])

    def zero(self, relation: str, page: int) -> None:
        """Overwrite one page with zeros."""
        self.let_go()
        with self.path(relation).open("r+b") as file:
            file.seek(page * PAGE)
            file.write(bytes(PAGE))

    def cut(self, relation: str, pages: int) -> None:
        """Take the last pages away."""
        self.let_go()
        path = self.path(relation)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - pages * PAGE)

    def flip(self, relation: str, page: int) -> None:
        """Turn one byte in the middle of a page over."""
        self.let_go()
        with self.path(relation).open("r+b") as file:
            file.seek(page * PAGE + 4096)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 0xFF]))
