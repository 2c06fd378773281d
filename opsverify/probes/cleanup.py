"""Cleanup of what a smoke journey wrote: rows of exactly one tag, and proof that none is left."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.probes.postgres_connection import bounded, connect, explain, limit_time, where
from opsverify.probes.record import Record, discard
from opsverify.probes.text import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.config.database import PostgresConfig


class RowsLeft(Inconclusive):
    """Rows of the tag were written while they were being removed."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Rows removed, by table."""

    rows: Mapping[str, int]

    @property
    def total(self) -> int:
        """Rows removed from all tables together."""
        return sum(self.rows.values())


def remove_synthetic(
    config: PostgresConfig,
    login: str,
    password: str | None,
    tables: Sequence[str],
    tag_column: str,
    tag: str,
    record: Record = discard,
) -> Removed:
    """Delete from `tables`, in this order, the rows whose `tag_column` is exactly `tag`, all or none.

    Raises ValueError for an empty tag, Unreachable or Inconclusive when nothing could be removed, RowsLeft when
    something is left.
    """
    if not tag.strip():
        raise ValueError("an empty tag would select real rows; give the journey's own")
    removed: dict[str, int] = {}
    left: dict[str, int] = {}
    column = sql.Identifier(tag_column)
    current = ""
    try:
        with (
            connect(config, login, password) as connection,
            bounded(connection, config),
            connection.cursor() as cursor,
        ):
            limit_time(cursor, config)
            for current in tables:
                name = sql.Identifier(*current.split("."))
                cursor.execute(sql.SQL("DELETE FROM {} WHERE {} = %s").format(name, column), (tag,))
                removed[current] = cursor.rowcount
            connection.commit()
            limit_time(cursor, config)
            for current in tables:
                name = sql.Identifier(*current.split("."))
                cursor.execute(sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(name, column), (tag,))
                left[current] = (cursor.fetchone() or (0,))[0]
    except psycopg.Error as error:
        failure = explain(error, config)
        message = say(
            "synthetic rows of {tag!r} not removed, at table {table}: {failure}",
            tag=tag,
            table=current or say("(none)"),
            failure=failure,
        )
        record(say("removal of synthetic rows"), message)
        raise type(failure)(message) from error
    record(
        say("removal of synthetic rows"),
        f"{where(config)}\n{tag_column} = {tag!r}\n\n"
        + table(("table", "removed", "left"), [(name, removed[name], left[name]) for name in tables]),
    )
    if remaining := {name: count for name, count in left.items() if count}:
        raise RowsLeft(
            say(
                "synthetic rows of {tag!r} are still there: {remaining}; stop what writes them, then remove them",
                tag=tag,
                remaining=remaining,
            )
        )
    return Removed(MappingProxyType(removed))


def tags_in(
    config: PostgresConfig, login: str, password: str | None, tables: Sequence[str], tag_column: str, prefix: str
) -> tuple[str, ...]:
    """Tags that begin with `prefix` and still have rows. Raises Unreachable or Inconclusive."""
    found: set[str] = set()
    column = sql.Identifier(tag_column)
    try:
        with (
            connect(config, login, password) as connection,
            bounded(connection, config),
            connection.cursor() as cursor,
        ):
            limit_time(cursor, config)
            for name in tables:
                cursor.execute(
                    sql.SQL("SELECT DISTINCT {0} FROM {1} WHERE starts_with({0}::text, %s)").format(
                        column, sql.Identifier(*name.split("."))
                    ),
                    (prefix,),
                )
                found |= {row[0] for row in cursor.fetchall()}
    except psycopg.Error as error:
        raise explain(error, config) from error
    return tuple(sorted(found))
