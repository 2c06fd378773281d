"""Catalog files of a data directory, read without a server: the names of superusers and databases.

A server that recovers can only be queried by a role that exists in it, and no name is certain to: `initdb -U admin`,
`DROP DATABASE postgres`. Every version of a row is read, also old ones: the name is tried, and the server decides.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROLES: Final = 1260
_DATABASES: Final = 1262
"""OIDs of pg_authid and pg_database (catalog/pg_authid.h, catalog/pg_database.h), which never change."""
_PAGE: Final = 8192
_HEADER: Final = 24
_NAME: Final = 64
_LOWER: Final = struct.Struct("=H")
_ITEM: Final = struct.Struct("=I")
_MAP: Final = struct.Struct("=II")  # RelMapFile: magic, number of mappings
_MAPPING: Final = struct.Struct("=II")
_OID_IN_ROW_SINCE: Final = 12
_NORMAL: Final = 1


def superusers(data_dir: Path, major: int) -> tuple[str, ...]:
    """Names of roles that may log in as superuser, the one that initdb made first; empty where they cannot be read.

    Whether a role may log in is the fifth of its flags, whether it is a superuser the first.
    """
    found: dict[str, int] = {}
    for oid, name, rest in _rows(data_dir, _ROLES, major):
        if len(rest) > 4 and rest[0] == rest[4] == 1:  # noqa: PLR2004 - rolsuper and rolcanlogin
            found.setdefault(name, oid)
    return tuple(sorted(found, key=lambda name: found[name]))


def databases(data_dir: Path, major: int) -> tuple[str, ...]:
    """Names of the databases, the oldest first; empty where they cannot be read."""
    found = {name: oid for oid, name, _ in _rows(data_dir, _DATABASES, major) if name != "template0"}
    return tuple(sorted(found, key=lambda name: found[name]))


def _rows(data_dir: Path, relation: int, major: int) -> Iterator[tuple[int, str, bytes]]:
    """OID, name, and what follows the name, of every version of every row of a shared catalog."""
    try:
        content = (data_dir / "global" / str(_file_of(data_dir, relation))).read_bytes()
    except (OSError, struct.error):
        return
    for at in range(0, len(content), _PAGE):
        page = content[at : at + _PAGE]
        (lower,) = _LOWER.unpack_from(page, 12) if len(page) == _PAGE else (0,)
        for item in range(_HEADER, min(lower, _PAGE) - 3, _ITEM.size):
            (pointer,) = _ITEM.unpack_from(page, item)
            offset, flags, length = pointer & 0x7FFF, pointer >> 15 & 3, pointer >> 17
            if flags == _NORMAL and offset + length <= _PAGE:
                yield from _row(page[offset : offset + length], major)


def _row(row: bytes, major: int) -> Iterator[tuple[int, str, bytes]]:
    start = row[22] if len(row) > 22 else len(row)  # noqa: PLR2004 - t_hoff of HeapTupleHeaderData
    first = start - 4 if major < _OID_IN_ROW_SINCE else start
    named = start if major < _OID_IN_ROW_SINCE else start + 4
    if first < 0 or named + _NAME > len(row):
        return
    (oid,) = _ITEM.unpack_from(row, first)
    name = row[named : named + _NAME].partition(b"\0")[0].decode("utf-8", "surrogateescape")
    if name:
        yield oid, name, row[named + _NAME :]


def _file_of(data_dir: Path, relation: int) -> int:
    """The number of the file of a shared catalog: VACUUM FULL gives it another one than its OID."""
    mapped = (data_dir / "global" / "pg_filenode.map").read_bytes()
    _magic, count = _MAP.unpack_from(mapped, 0)
    for number in range(count):
        oid, file = _MAPPING.unpack_from(mapped, _MAP.size + number * _MAPPING.size)
        if oid == relation:
            return int(file)
    return relation
