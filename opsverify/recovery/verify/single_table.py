"""One table at random out of the restored backup, dumped, restored alone, and held against what it should be.

The runbook's monthly test: a backup is also asked for single tables, and a dump of it reads every row and builds
every index anew. Tables are drawn by size, with a seed that is recorded, so that any draw can be repeated.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.language.message import say
from opsverify.recovery.postgres.blame import fault_of
from opsverify.recovery.postgres.dumped_database import template_options
from opsverify.recovery.postgres.encoded_names import encoded
from opsverify.recovery.postgres.identifiers import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from opsverify.recovery.postgres.server import Server
    from opsverify.recovery.postgres.tools import ToolRun

SCRATCH: Final = "opsverify_table"
"""The scratch database on the drill's own server."""
_LEAST_WEIGHT: Final = 8192
_TIMEOUT_S: Final = 4 * 3600.0

_TABLES: Final = """
    SELECT n.nspname, c.relname,
           CASE c.relkind WHEN 'p' THEN (SELECT coalesce(sum(pg_total_relation_size(t.relid)), 0)
                                           FROM pg_partition_tree(c.oid) t)
                          ELSE pg_total_relation_size(c.oid) END,
           c.relkind = 'p'
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY 1, 2
"""
_PARTITIONS: Final = """
SELECT n.nspname, c.relname
  FROM pg_partition_tree({name}::regclass) t JOIN pg_class c ON c.oid = t.relid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.relid <> {name}::regclass
"""
_OWN: Final = """
SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = {name}::regclass
"""
_COLUMNS: Final = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
 WHERE attrelid = {name}::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
# Text forms that no setting of a database or role may change; floats are exact since PostgreSQL 12.
_PINNED: Final = "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'iso_8601'; SET row_security = off;"
_COPIED: Final = f"{_PINNED} SET client_encoding = 'UTF8'; SET extra_float_digits = 1"
_ROWS: Final = "SELECT count(*), coalesce(sum(hashtextextended(ROW({all})::text, 0)), 0) FROM {only}{table} t{sample}"
# By name: pg_dump writes the columns of an inheritance child after its parents'. A parent's children are other tables.
_ALL: Final = """
SELECT CASE c.relkind WHEN 'p' THEN 'root' ELSE 'only' END,
       (SELECT coalesce(string_agg('t.' || quote_ident(attname), ', ' ORDER BY attname), '') FROM pg_attribute
         WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated::text <> 'v')
  FROM pg_class c WHERE c.oid = {name}::regclass
"""
_DEFINITION: Final = """
SELECT 'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL'
       ELSE '' END || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') || ' ' || a.attidentity::text
       || a.attgenerated::text || ' ' || coalesce(co.collname, '')
  FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_collation co ON co.oid = a.attcollation
 WHERE a.attrelid = {name}::regclass AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT 'index ' || pg_get_indexdef(indexrelid) || CASE WHEN indisvalid THEN '' ELSE ' INVALID' END
  FROM pg_index WHERE indrelid = {name}::regclass
UNION ALL SELECT 'constraint ' || CASE WHEN contype <> 'n' THEN conname || ' ' ELSE '' END || pg_get_constraintdef(oid)
  FROM pg_constraint WHERE conrelid = {name}::regclass AND contype <> 'f'
UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) || ' ' || tgenabled::text
  FROM pg_trigger WHERE tgrelid = {name}::regclass AND NOT tgisinternal AND tgparentid = 0
UNION ALL SELECT 'policy ' || polname || ' ' || polcmd::text || ' ' || polroles::regrole[]::text || ' '
       || coalesce(pg_get_expr(polqual, polrelid), '') || ' ' || coalesce(pg_get_expr(polwithcheck, polrelid), '')
  FROM pg_policy WHERE polrelid = {name}::regclass
UNION ALL SELECT 'grant ' || g.privilege_type || ' to ' || CASE g.grantee WHEN 0 THEN 'PUBLIC'
       ELSE g.grantee::regrole::text END || CASE WHEN g.is_grantable THEN ' with grant option' ELSE '' END
  FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g WHERE c.oid = {name}::regclass
UNION ALL SELECT 'table owned by ' || relowner::regrole || ', row security ' || relrowsecurity::text
       || relforcerowsecurity::text || ', ' || coalesce(reloptions::text, '') FROM pg_class WHERE oid = {name}::regclass
UNION ALL SELECT 'sequence ' || s.schemaname || '.' || s.sequencename || ' at ' || coalesce(s.last_value::text, 'start')
       || ' by ' || s.increment_by
  FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_sequences s ON s.schemaname = n.nspname AND s.sequencename = c.relname
 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = {name}::regclass AND d.deptype IN ('a', 'i')
ORDER BY 1
"""


@dataclass(frozen=True)
class SingleTable:
    """A table of the restored database, with the size of all that belongs to it, in bytes."""

    schema: str
    name: str
    size: int

    @property
    def quoted(self) -> str:
        """The name as SQL and as a literal pattern of pg_dump."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class RestoredTable:
    """One table restored alone: how it was drawn, `rows` of it, and every difference from the original.

    `share` is the share of its pages that was restored.
    """

    table: str
    seed: int
    candidates: int
    size: int
    rows: int
    differences: tuple[str, ...]
    share: float = 1.0


def candidates(server: Server, dbname: str, among: Sequence[str]) -> tuple[SingleTable, ...]:
    """Ordinary tables of `dbname`, or any table, partition or root of `among` (`schema.table`, or one of `public`).

    Raises Inconclusive when there is none.
    """
    listed = server.rows(_TABLES, dbname=dbname)
    wanted = {name if "." in name else f"public.{name}" for name in among}
    tables = [(SingleTable(schema, name, int(size)), root == "t") for schema, name, size, root in listed]
    # A root is restored with all its partitions, and only where it is named: each of them may be drawn by itself.
    chosen = tuple(table for table, root in tables if (str(table) in wanted if wanted else not root))
    if missing := wanted - {str(table) for table in chosen}:
        raise NotRestorable(say("the restored database lacks {missing}", missing=", ".join(sorted(missing))))
    if not chosen:
        raise Inconclusive(say("database {dbname} has no table that could be drawn", dbname=dbname))
    return chosen


def draw(tables: Sequence[SingleTable], seed: int) -> SingleTable:
    """Draw one of `tables` with a probability in proportion to its size; an empty one counts as a page."""
    weights = [max(table.size, _LEAST_WEIGHT) for table in tables]
    return random.Random(seed).choices(tables, weights)[0]  # noqa: S311 - a draw that can be repeated, no secret


def restore_table(
    server: Server, dbname: str, folder: Path, among: Sequence[str], seed: int, most: int | None = None
) -> RestoredTable:
    """Draw a table of `dbname`, restore it into the scratch database `SCRATCH`, and compare.

    The scratch database gets all definitions (types, functions, tables), then the rows of the one table, its
    indexes, constraints, triggers and policies; foreign keys are left out, since their other side stays empty. Of a
    table larger than `most` bytes the rows are those of a sample of its pages. Files go to `folder`. Raises
    NotRestorable when dump or restore fail, Inconclusive when they cannot be run.
    """
    tables = candidates(server, dbname, among)
    table = draw(tables, seed)
    definitions, content, wanted = folder / "definitions", folder / "table", folder / "wanted"
    _run(server, "pg_dump", "-Fc", "--section=pre-data", "-f", definitions, "-d", dbname)
    # As the original, for what sorts and compares text: the cluster's own locale may not even allow its encoding.
    server.rows(f"CREATE DATABASE {SCRATCH} WITH {template_options(server.tools, definitions, tablespaces=True)}")
    _run(server, "pg_restore", "--exit-on-error", "-d", SCRATCH, definitions)
    literal = _literal(table)
    columns = "".join(server.row(_COLUMNS.format(name=literal), dbname=dbname))  # none where all are generated
    one_line = columns and not {*"\r\n"} & {*table.quoted, *columns}  # as psql's \copy needs it
    share = min(1.0, most / max(table.size, 1)) if most and one_line else 1.0
    sample = f" TABLESAMPLE SYSTEM ({100 * share}) REPEATABLE ({seed & 0x7FFFFFFF})" if share < 1 else ""
    if sample:  # before indexes, triggers and constraints that are not validated, as pg_restore does
        _copy_sample(server, dbname, f"{table.quoted} ({columns})", f"{columns} FROM {table.quoted}{sample}", folder)
    parts = ("--section=data", "--section=post-data")
    leaves = [
        f"{quoted(schema)}.{quoted(name)}"
        for schema, name in server.rows(_PARTITIONS.format(name=literal), dbname=dbname)
    ]
    patterns = encoded((table.quoted, *leaves), server, dbname)
    named = [argument for one in patterns for argument in ("-t", one)]
    if sample:
        named += [f"--exclude-table-data={one}" for one in patterns]
    _run(server, "pg_dump", "-Fc", "--compress=0", *parts, *named, "-f", content, "-d", dbname)
    listing = _run(server, "pg_restore", "-l", content, connected=False).stdout
    # An index of the root is not there to attach to, where a partition is restored alone or with its own ones.
    attached = (
        f" INDEX ATTACH {table.schema} {index} " for (index,) in server.rows(_OWN.format(name=literal), dbname=dbname)
    )
    without = (" FK CONSTRAINT ", *attached)
    lines = (line for line in listing.splitlines() if not any(words in line for words in without))
    wanted.write_text("\n".join(lines) + "\n")
    _run(server, "pg_restore", "--exit-on-error", "-L", wanted, "-d", SCRATCH, content)
    original, restored = _content(server, dbname, table, sample), _content(server, SCRATCH, table)
    differences = tuple(_differences(original, restored))
    return RestoredTable(str(table), seed, len(tables), table.size, int(restored["rows"][0]), differences, share)


def _copy_sample(server: Server, dbname: str, table: str, selected: str, folder: Path) -> None:
    """Copy the rows `selected` into the scratch database's `table`."""
    file = "'" + str(folder / "rows").replace("'", "''") + "'"
    pinned = ("-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", _COPIED)
    _run(server, "psql", "-d", dbname, *pinned, "-c", f"\\copy (SELECT {selected}) TO {file}")
    _run(server, "psql", "-d", SCRATCH, *pinned, "-c", f"\\copy {table} FROM {file}")


def _content(server: Server, dbname: str, table: SingleTable, sample: str = "") -> dict[str, list[str]]:
    literal = _literal(table)
    kind, every = server.row(_ALL.format(name=literal), dbname=dbname)
    only = "ONLY " if kind == "only" else ""
    ask = _ROWS.format(all=every, only=only, table=table.quoted, sample=sample)
    (rows, digest), *_ = server.rows(f"{_PINNED} {ask}", dbname=dbname, timeout_s=_TIMEOUT_S)
    definition = [line for (line,) in server.rows(_DEFINITION.format(name=literal), dbname=dbname)]
    return {"rows": [rows], "row hashes": [digest], "definition": definition}


def _literal(table: SingleTable) -> str:
    return "'" + table.quoted.replace("'", "''") + "'"


def _differences(original: Mapping[str, list[str]], restored: Mapping[str, list[str]]) -> list[str]:
    """What of `original` is not in `restored`, and the other way round, one line each."""
    lines: list[str] = []
    for kind, before in original.items():
        after = restored[kind]
        if kind == "definition":
            lines += [say("not restored: {line}", line=line) for line in before if line not in after]
            lines += [say("added: {line}", line=line) for line in after if line not in before]
        elif before != after:
            lines.append(
                say(
                    "{kind}: {before} in the backup, {after} restored alone",
                    kind=kind,
                    before=before[0],
                    after=after[0],
                )
            )
    return lines


def _run(server: Server, program: str, *arguments: str | Path, connected: bool = True) -> ToolRun:
    where = ("-h", server.socket_dir, "-p", str(server.port), "-U", server.superuser, "-w") if connected else ()
    answer = server.tools.run(program, *where, *arguments, timeout_s=_TIMEOUT_S)
    if answer.exit_code != 0:
        raise fault_of(
            answer.first_error,
            say(
                "{program} of the table drawn: {first_error} (exit {exit_code})",
                program=program,
                first_error=answer.first_error,
                exit_code=answer.exit_code,
            ),
        )
    return answer
