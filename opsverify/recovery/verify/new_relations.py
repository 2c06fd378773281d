"""New relations: tables that production made after the record, as it makes a partition each day, with what is theirs.

In a copy of the cluster that was recorded a table's own rows in the catalog tell when it was made. One that is newer
than the record was made by production, or by whoever worked on the restored database: no recovery makes a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.recovery.ledger.catalog_parts import dotted, own
from opsverify.recovery.ledger.heap_pages import SYSTEM
from opsverify.recovery.ledger.open_rows import before_sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.queries import Source

_RELATION: Final = "relation "
"""What stands before the name of a relation whose grants are meant."""
# Columns of the system are not altered: their rows in the catalog are as old as the table.
_NEW: Final = f"""
WITH made AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND {own("c.oid", "pg_class")} AND NOT EXISTS (
           SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attnum < 0 AND {{older}}))
SELECT {dotted("n.nspname", "c.relname")}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid IN (SELECT oid FROM made UNION SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM made)
                 UNION SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
                          AND refclassid = 'pg_class'::regclass AND refobjid IN (SELECT oid FROM made))
"""


def of_new_relations(names: Iterable[str], history: History, restored: Source) -> set[str]:
    """Those of `names`, of entries of the catalog, that belong to tables which were made since they were recorded."""
    wanted = set(names)
    snapshots = [table.open.snapshot for table in history.tables.values() if table.open and table.open.snapshot]
    if not wanted or not snapshots or history.rows_system is None:
        return set()
    ((system,),) = restored(SYSTEM, {})
    if system != history.rows_system:
        return set()
    earliest = min(snapshots, key=lambda snapshot: int(snapshot.split(":")[1]))
    made = [str(name) for (name,) in restored(_NEW.format(older=before_sql(earliest)), {})]
    return {
        name
        for name in wanted
        if any(f"{name.removeprefix(_RELATION)}.".startswith(f"{relation}.") for relation in made)
    }
