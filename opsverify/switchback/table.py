"""Table in one of two databases that should hold the same rows: hashed in chunks, by key, or as a sample.

A row's hash is taken over its text form (`row::text`), which is different for NULL and an empty string, -0 and 0,
1.0 and 1.00, whatever the column types are. It depends on five settings, which must be the same in both databases.
Hashes of 64 bits: two different rows have the same hash with a probability of 1 in 2^64 (PostgreSQL's
hashtextextended, Jenkins' lookup3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.postgres.identifiers import qualified, quoted

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from opsverify.recovery.ledger.queries import Source

Key = tuple[str, ...]
"""A row's key columns, as text."""

CHUNKS: Final = 256
"""A power of two: a bad chunk then holds about 0.4 % of the rows, and only those are fetched."""
_READ_WHOLE: Final = 100
"""A table estimated at up to this many times the sample is read whole: of few pages, a sample may draw none."""

_SHAPE: Final = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
  FROM pg_attribute a
 WHERE a.attrelid = %(table)s::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""
_ESTIMATE: Final = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = %(table)s::text::regclass"
_FORM: Final = """
SELECT current_setting('DateStyle') AS dates, current_setting('IntervalStyle') AS intervals,
       current_setting('extra_float_digits')::int > 0 AS exact_floats, current_setting('bytea_output') AS bytes,
       current_setting('server_encoding') AS encoding
"""


@dataclass(frozen=True)
class TimeSpan:
    """From `since` up to, not including, `until`; both aware."""

    since: dt.datetime
    until: dt.datetime

    @property
    def params(self) -> dict[str, object]:
        """The span as parameters of a query."""
        return {"since": self.since, "until": self.until}


@dataclass(frozen=True)
class Chunk:
    """Rows whose keys fall into one chunk: how many, the sum and the xor of their hashes."""

    rows: int
    total: str
    mixed: int


@dataclass(frozen=True)
class Found:
    """A row as it is now: its hash, and whether it was written since the comparison's span ended."""

    hash: int
    later: bool


@dataclass(frozen=True)
class TableCopy:
    """One table, read through `source`; `changed` is the column with the time at which a row was last written."""

    source: Source
    table: str
    key: tuple[str, ...]
    changed: str

    @property
    def shape(self) -> tuple[tuple[str, str], ...]:
        """Columns and their types, in order. Raises Inconclusive when key or `changed` are not among them."""
        columns = tuple((str(name), str(kind)) for name, kind in self._query(_SHAPE, {"table": self._relation}))
        names = [name for name, _ in columns]
        for column in (*self.key, self.changed):
            if column not in names:
                raise Inconclusive(
                    say(
                        "{table} has no column {column!r}: it has {names}",
                        table=self.table,
                        column=column,
                        names=", ".join(names),
                    )
                )
        return columns

    @property
    def form(self) -> tuple[object, ...]:
        """The settings on which the text form of a row depends."""
        return tuple(self._query(_FORM, {})[0])

    def chunks(self, span: TimeSpan, count: int = CHUNKS) -> dict[int, Chunk]:
        """Rows last written within `span`, in `count` chunks by the hash of their key; empty ones left out."""
        sql = f"""
            SELECT chunk, count(*), sum(hash)::text, bit_xor(hash)
              FROM (SELECT {self._chunk} AS chunk, {self._hash} AS hash FROM {self._name} r
                     WHERE {self._changed} >= %(since)s AND {self._changed} < %(until)s) one
             GROUP BY chunk
        """  # noqa: S608 - identifiers are quoted, values are parameters
        rows = self._query(sql, span.params | {"last": count - 1})
        return {int(chunk): Chunk(int(number), str(total), int(mixed)) for chunk, number, total, mixed in rows}

    def rows_in(self, span: TimeSpan, chunks: Collection[int], count: int = CHUNKS) -> dict[Key, int]:
        """Key and hash of the rows of some of the `chunks` that `chunks()` gave."""
        sql = f"""
            SELECT {self._hash}, {self._key} FROM {self._name} r
             WHERE {self._changed} >= %(since)s AND {self._changed} < %(until)s AND {self._chunk} = ANY(%(chunks)s)
        """  # noqa: S608 - as above
        return _by_key(self._query(sql, span.params | {"last": count - 1, "chunks": list(chunks)}))

    def find(self, keys: Iterable[Key], until: dt.datetime) -> dict[Key, Found]:
        """The rows of `keys` that exist now, whenever they were written; through the key's index where it has one."""
        wanted = list(keys)
        if not wanted:
            return {}
        kinds = dict(self.shape)
        names = [f"k{number}" for number in range(len(self.key))]
        arrays = ", ".join(f"%({name})s::text[]" for name in names)
        matches = " AND ".join(
            f"r.{_escaped(column)} = w.{name}::{kinds[column]}" for column, name in zip(self.key, names, strict=True)
        )
        sql = f"""
            SELECT {self._hash}, coalesce({self._changed} >= %(until)s, false), {self._key}
              FROM unnest({arrays}) AS w({", ".join(names)}) JOIN {self._name} r ON {matches}
        """  # noqa: S608 - as above; types come from the catalog
        values: dict[str, object] = {name: [key[at] for key in wanted] for at, name in enumerate(names)}
        rows = self._query(sql, values | {"until": until})
        return {tuple(map(str, key)): Found(int(found), bool(later)) for found, later, *key in rows}

    def sample(self, size: int, seed: int, before: dt.datetime) -> dict[Key, int]:
        """Key and hash of about `size` random rows last written before `before`; the same ones for the same `seed`.

        Of a large table only the pages that were drawn are read (TABLESAMPLE SYSTEM).
        """
        estimated = int(self._query(_ESTIMATE, {"table": self._relation})[0][0])
        percent = min(100.0, 100.0 * size / estimated) if estimated else 100.0
        method = "SYSTEM" if estimated > size * _READ_WHOLE else "BERNOULLI"
        sql = f"""
            SELECT {self._hash}, {self._key}
              FROM {self._name} r TABLESAMPLE {method} (%(percent)s) REPEATABLE (%(seed)s)
             WHERE {self._changed} < %(before)s LIMIT %(most)s
        """  # noqa: S608 - as above
        return _by_key(self._query(sql, {"percent": percent, "seed": seed, "before": before, "most": 2 * size}))

    @property
    def _relation(self) -> str:
        return qualified(self.table)

    @property
    def _name(self) -> str:
        return self._relation.replace("%", "%%")

    @property
    def _changed(self) -> str:
        return f"r.{_escaped(self.changed)}"

    @property
    def _key(self) -> str:
        return ", ".join(f"r.{_escaped(column)}::text" for column in self.key)

    @property
    def _hash(self) -> str:
        return "hashtextextended(r::text, 0)"

    @property
    def _chunk(self) -> str:
        columns = ", ".join(f"r.{_escaped(column)}" for column in self.key)
        return f"(hashtextextended(ROW({columns})::text, 1) & %(last)s)::int"

    def _query(self, sql: str, values: Mapping[str, object]) -> list[Sequence[Any]]:
        return list(self.source(sql, values))


def _by_key(rows: Iterable[Sequence[Any]]) -> dict[Key, int]:
    return {tuple(map(str, key)): int(found) for found, *key in rows}


def _escaped(name: str) -> str:
    """`name` for a statement with parameters, in which a percent is doubled."""
    return quoted(name).replace("%", "%%")
