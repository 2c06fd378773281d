"""Encoded names: what pg_dump is to take for a name, in the encoding of its database (EUC_KR, say).

pg_dump sends its arguments as they are, in a session of the database's own encoding. PGCLIENTENCODING would make it
another one, in which names of databases and roles that were made elsewhere may not be read at all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opsverify.recovery.postgres.session import codec_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsverify.recovery.postgres.server import Server


def encoded(names: Iterable[str], server: Server, dbname: str) -> list[str]:
    """The names as arguments for a program that connects to `dbname`."""
    wanted = list(names)
    if all(map(str.isascii, wanted)):
        return wanted
    codec = codec_of(host=server.socket_dir, port=server.port, user=server.superuser, dbname=dbname)
    return [os.fsdecode(name.encode(codec, "surrogateescape")) for name in wanted]
