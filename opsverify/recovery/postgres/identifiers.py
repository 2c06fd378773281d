"""Identifiers quoted for SQL: names and tables."""

from __future__ import annotations


def quoted(name: str) -> str:
    """One identifier."""
    return '"' + name.replace('"', '""') + '"'


def qualified(table: str) -> str:
    """A table, given as `schema.table` or `table`."""
    return ".".join(map(quoted, table.split(".")))
