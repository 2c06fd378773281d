"""Relations of every access method and kind, once for each way of damage; and the files that they have."""

from __future__ import annotations

from typing import Final

PAGE: Final = 8192
DAMAGES: Final = ("header", "byte", "blank", "strange", "cut", "swap")
"""Ways of damage; each has a schema with one relation of every kind, so that none hides another."""
ONE: Final = """
CREATE SCHEMA {s};
CREATE TABLE {s}.heap (id int PRIMARY KEY, note text, big text, at timestamptz DEFAULT now(), tags text[],
                       spot point, word text);
ALTER TABLE {s}.heap ALTER big SET STORAGE EXTERNAL;
INSERT INTO {s}.heap
    SELECT n, 'note ' || n, CASE WHEN n % 30 = 0 THEN repeat('b' || n, 2500) END, now(), ARRAY['t' || n, 'all'],
           point(n, -n), 'w' || n FROM generate_series(1, 3000) n;
CREATE INDEX heap_hash ON {s}.heap USING hash (word);
CREATE INDEX heap_gin ON {s}.heap USING gin (tags);
CREATE INDEX heap_gist ON {s}.heap USING gist (spot);
CREATE INDEX heap_spgist ON {s}.heap USING spgist (word);
CREATE INDEX heap_brin ON {s}.heap USING brin (id) WITH (pages_per_range = 1);
CREATE INDEX heap_bloom ON {s}.heap USING bloom (id, word);
CREATE TABLE {s}.other (name text PRIMARY KEY, n int, big text, tags text[], spot point, word text);
ALTER TABLE {s}.other ALTER big SET STORAGE EXTERNAL;
INSERT INTO {s}.other SELECT 'name ' || n, n, repeat('c' || n, 2500), ARRAY['o' || n, 'none'], point(-n, n), 'o' || n
    FROM generate_series(1, 60) n;
CREATE INDEX other_hash ON {s}.other USING hash (word);
CREATE INDEX other_gin ON {s}.other USING gin (tags);
CREATE INDEX other_gist ON {s}.other USING gist (spot);
CREATE INDEX other_spgist ON {s}.other USING spgist (word);
CREATE INDEX other_brin ON {s}.other USING brin (n) WITH (pages_per_range = 1);
CREATE INDEX other_bloom ON {s}.other USING bloom (n, word);
CREATE MATERIALIZED VIEW {s}.view AS SELECT id, note FROM {s}.heap;
CREATE UNIQUE INDEX ON {s}.view (id);
CREATE MATERIALIZED VIEW {s}.view_other AS SELECT name, n, word FROM {s}.other;
CREATE SEQUENCE {s}.numbers START 900;
CREATE SEQUENCE {s}.numbers_other START 700;
SELECT nextval('{s}.numbers'), nextval('{s}.numbers_other');
CREATE UNLOGGED TABLE {s}.unlogged (id int PRIMARY KEY);
CREATE UNLOGGED TABLE {s}.unlogged_other (id text PRIMARY KEY);
"""
TWINS: Final = {
    "heap": "other", "heap_pkey": "other_pkey", "view": "view_other", "view_id_idx": "heap_pkey",
    "numbers": "numbers_other", "part": "part_other", "unlogged": "unlogged_other",
    "unlogged_pkey": "unlogged_other_pkey",
    **{f"heap_{method}": f"other_{method}" for method in ("hash", "gin", "gist", "spgist", "brin", "bloom")},
}  # fmt: skip
"""The relation of the same kind whose page, or file, is put in."""
CATALOGS: Final = {
    "header": "pg_description", "byte": "pg_collation", "blank": "pg_largeobject", "strange": "pg_largeobject_metadata",
    "cut": "pg_init_privs",
}  # fmt: skip
"""Catalogs without which a server starts, one for each way of damage."""
FILES: Final = """
SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, coalesce(a.amname, '') AS method,
       pg_relation_filepath(c.oid) AS path, coalesce(w.relnamespace::regnamespace::text, '') AS way,
       coalesce(w.relname, '') AS owner
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am a ON a.oid = c.relam
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_class w ON w.reltoastrelid IN (c.oid, i.indrelid)
 WHERE pg_relation_filepath(c.oid) IS NOT NULL
"""
PARTS: Final = """
CREATE TABLE {s}.parted (id int) PARTITION BY RANGE (id);
CREATE TABLE {s}.part PARTITION OF {s}.parted FOR VALUES FROM (0) TO (2000);
CREATE TABLE {s}.part_other PARTITION OF {s}.parted FOR VALUES FROM (2000) TO (4000);
INSERT INTO {s}.parted SELECT generate_series(1, 3999);
"""
AFTER: Final = """
UPDATE {s}.heap SET note = note WHERE id = 7;
DELETE FROM {s}.heap WHERE id = 30;
"""
LIVED: Final = """
CREATE SCHEMA lived;
CREATE TABLE lived.heap (id int, spot point, word text, tags text[]);
INSERT INTO lived.heap SELECT n, point(n, -n), 'w' || n, ARRAY['t' || n % 50, 'all'] FROM generate_series(1, 20000) n;
CREATE INDEX lived_hash ON lived.heap USING hash (word);
CREATE INDEX lived_gin ON lived.heap USING gin (tags);
CREATE INDEX lived_gist ON lived.heap USING gist (spot);
CREATE INDEX lived_spgist ON lived.heap USING spgist (word) WHERE id % 2 = 0;
CREATE INDEX lived_brin ON lived.heap USING brin (id) WITH (pages_per_range = 1);
CREATE UNLOGGED TABLE lived.unlogged AS SELECT * FROM lived.heap;
CREATE INDEX unlogged_id ON lived.unlogged (id);
CREATE INDEX unlogged_gist ON lived.unlogged USING gist (spot);
CREATE INDEX unlogged_gin ON lived.unlogged USING gin (tags);
VACUUM (ANALYZE) lived.heap;
VACUUM (ANALYZE) lived.unlogged;
DELETE FROM lived.heap WHERE id > 6000 OR id < 4000 AND id % 50 <> 0;
VACUUM lived.heap;
VACUUM lived.heap;
INSERT INTO lived.heap SELECT n, point(n, -n), 'w' || n, ARRAY['t' || n % 50] FROM generate_series(30001, 31000) n;
UPDATE lived.heap SET word = word || 'x' WHERE id % 7 = 0;
UPDATE lived.heap SET id = id + 1 WHERE id % 11 = 0;
CHECKPOINT;
DELETE FROM lived.heap WHERE id > 30500;
"""
"""A life: deleted pages of indexes, summaries of pages given back, entries not cleaned; a crash is to follow it."""
FORKS: Final = ("", "_fsm", "_vm", "_init")
