"""Database as a dump records it: encoding, locale and provider, for one that is to hold what was dumped."""

from __future__ import annotations

import re
import tempfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.postgres.tools import Tools

_DATABASE_ENTRY: Final = re.compile(r"^\d+; 1262 \d+ DATABASE .*$", re.MULTILINE)
_CREATE_DATABASE: Final = re.compile(r"^CREATE DATABASE .+? WITH TEMPLATE = template0 (.*);$", re.MULTILINE)
_TABLESPACE: Final = re.compile(r' TABLESPACE = (?:"(?:[^"]|"")+"|\S+)')


def template_options(tools: Tools, archive: Path, *, tablespaces: bool) -> str:
    """What follows `CREATE DATABASE name WITH` in the archive: a template, and the options of the dumped database.

    Raises Inconclusive when the archive cannot be read.
    """
    listed = tools.succeed("pg_restore", "--create", "--list", archive).stdout
    entry = _DATABASE_ENTRY.search(listed)
    options = ""
    if entry is not None:
        with tempfile.NamedTemporaryFile("w", prefix="opsverify-list-") as wanted:
            wanted.write(f"{entry[0]}\n")
            wanted.flush()
            script = tools.succeed("pg_restore", "--create", "-L", wanted.name, "-f", "-", archive).stdout
        made = _CREATE_DATABASE.search(script)
        options = made[1] if made else ""
    if not tablespaces:
        options = _TABLESPACE.sub("", options)
    return f"TEMPLATE = template0 {options}".rstrip()
