"""The catalog's fingerprint: the objects of a database other than its rows, kind by kind, name by name.

Its queries cover every type of entry that pg_dump writes (tests/recovery/ledger/pg_dump_entries.toml) and every column
of the catalog's tables (tests/recovery/ledger/catalog_columns.toml); both name what is left out on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.recovery.ledger.catalog_objects import OBJECTS
from opsverify.recovery.ledger.catalog_parts import for_version
from opsverify.recovery.ledger.catalog_relations import RELATIONS
from opsverify.recovery.ledger.catalog_rights import RIGHTS
from opsverify.recovery.ledger.catalog_server import SERVER, with_readable_columns
from opsverify.recovery.ledger.definition_text import same_meaning
from opsverify.recovery.ledger.refusal import read_apart, read_divided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opsverify.recovery.ledger.queries import Source

Catalog = dict[str, dict[str, str]]
"""Definition of every object by kind and name."""

QUERIES: Final[Mapping[str, str]] = {**RELATIONS, **RIGHTS, **OBJECTS, **SERVER}
KINDS: Final = (
    "tables", "columns", "constraints", "indexes", "sequences", "extensions", "roles", "grants", "row_security",
    "triggers", "routines", "settings", "collations", "rules", "publications", "subscriptions", "types", "operators",
    "text_search", "statistics", "foreign", "tablespaces",
)  # fmt: skip
"""The kinds of the fingerprint, in the order in which they are read."""
VERSION: Final = 3
"""Of the definitions' form: those that another version recorded are not compared."""
UNREADABLE: Final = "(cannot be read) "
"""What stands before the reason, in the place of a definition that PostgreSQL could not write."""


def read_catalog(source: Source, kinds: Iterable[str] = KINDS) -> Catalog:
    """Return the definitions of the given kinds, all by default; no right beyond reading the catalog is needed."""
    ((version,),) = source("SELECT current_setting('server_version_num')::int", {})
    return {kind: _definitions(source, _query(source, kind, int(version))) for kind in kinds}


def _query(source: Source, kind: str, version: int) -> str:
    sql = for_version(QUERIES[kind], version)
    return with_readable_columns(sql, source) if kind == "subscriptions" else sql


def _definitions(source: Source, query: str) -> dict[str, str]:
    """Return definitions by name; of objects that share one all are kept, so that none hides the loss of another.

    Where PostgreSQL cannot write one of them, the others are asked without it; it has the reason instead.
    """
    listed = f"FROM ({query}) listed (name, definition)"
    reasons: dict[str, str] = {}
    rows = read_apart(lambda: list(source(f"SELECT name, definition {listed}", {})), "", reasons)
    if rows is None:
        # Names alone: a definition is written only where it is asked for.
        names = sorted({str(name) for (name,) in source(f"SELECT name {listed}", {})})
        some = f"SELECT name, definition {listed} WHERE name::text = ANY (%(names)s::text[])"
        reasons = {}
        rows = list(read_divided(names, lambda few: list(source(some, {"names": list(few)})), reasons))
    found: dict[str, list[str]] = {}
    for name, definition in rows:
        found.setdefault(str(name), []).append(str(definition or ""))
    written = {name: "\n".join(sorted(definitions)) for name, definitions in found.items()}
    return written | {name: f"{UNREADABLE}{reason}" for name, reason in reasons.items()}


def changes(recorded: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """List what of one kind is missing, was added, or is defined otherwise; one line each."""
    lines = [
        say("{name} is missing ({recorded})", name=name, recorded=recorded[name])
        for name in sorted(recorded.keys() - found.keys())
    ]
    lines += [
        say("{name} was not recorded ({found})", name=name, found=found[name])
        for name in sorted(found.keys() - recorded.keys())
    ]
    lines += [
        say("{name} is {found!r}, recorded {recorded!r}", name=name, found=found[name], recorded=recorded[name])
        for name in sorted(recorded.keys() & found.keys())
        if not recorded[name].startswith(UNREADABLE) and not same_meaning(recorded[name], found[name])
    ]
    return tuple(lines)
