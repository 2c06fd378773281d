"""Coverage: how every table of a restored database was compared, row by row or less, and what was left out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from opsverify.language.message import join, say
from opsverify.recovery.ledger.names import label
from opsverify.recovery.verify.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opsverify.config.recovery import Recovery
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.verify.finding import Cover

NAMED: Final = 5
_HEARTBEAT: Final = say("the heartbeat: restore.rpo_witnesses compares it beat by beat")

_RELATIONS: Final = f"""
SELECT {label("n.nspname", "c.relname")} AS name, n.nspname || '.' || c.relname AS written,
       CASE WHEN c.relkind = 'f' THEN 'foreign' WHEN c.relpersistence = 'u' THEN 'unlogged' ELSE '' END AS kind
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (c.relkind IN ('r', 'p') AND NOT c.relispartition OR c.relkind = 'f') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                                             AND d.deptype = 'e')
 ORDER BY 1
"""
_WORDS: Final[Mapping[Cover, str]] = {
    "rows": say("row by row"), "keys": say("by keys only"), "count": say("by count only"), "none": say("not compared"),
    "columns": say("row by row but for columns that change"),
    "changed": say("changed since, not compared row by row"),
}  # fmt: skip

_LESS: Final[tuple[Cover, ...]] = ("columns", "keys", "count", "changed", "none")


def outside(recovery: Recovery) -> dict[str, str]:
    """Return what a target leaves out of the comparison, with the reason: by name, and its own heartbeat."""
    heartbeat = {recovery.heartbeat.table: _HEARTBEAT} if recovery.heartbeat else {}
    return {**heartbeat, **recovery.left_out}


def check_coverage(
    history: History, source: Source, covers: Mapping[str, Cover], left_out: Mapping[str, str]
) -> Finding:
    """Find tables that no comparison covers and the target does not leave out by name.

    `covers` is how each recorded table was compared.
    """
    found = [tuple(row) for row in source(_RELATIONS, {})]
    names = {name: kind for name, _, kind in found}
    # A name with a dot of its own may be written as it is, where it is no other table's.
    labels = {written: name for name, written, _ in found} | {name: name for name in names}
    out = {labels.get(name, name.removeprefix("public.")): why for name, why in left_out.items()}
    reasons = dict(line.split(": ", 1) for line in history.skipped if ": " in line)
    for name, kind in names.items():
        if kind:
            out.setdefault(name, {"foreign": say("a foreign table: its rows are elsewhere"),
                                  "unlogged": say("unlogged: recovery empties it")}[kind])  # fmt: skip
    everything = [name for name in sorted({*names, *covers}) if name not in out]
    how = {name: covers.get(name, "none") for name in everything}
    but = {name: table.unhashed for name, table in history.tables.items()}
    line = coverage_line(how, {name: why for name, why in out.items() if name in names}, but)
    missing = [
        say("{name} ({why})", name=name, why=reasons.get(name, say("not in the ledger: capture again")))
        for name, cover in how.items()
        if cover == "none"
    ]
    unknown = None
    if missing:
        shown = join(", ", missing[:NAMED]) + (
            say(" and {count} more", count=len(missing) - NAMED) if len(missing) > NAMED else ""
        )
        unknown = say(
            "{line}; not compared: {shown}; grant what is missing, or name the table in "
            "[recovery.left_out] with a reason",
            line=line,
            shown=shown,
        )
    return Finding(len(everything), line, unknown=unknown)


def coverage_line(
    how: Mapping[str, Cover], left_out: Mapping[str, str], but: Mapping[str, Sequence[str]] | None = None
) -> str:
    """Return the coverage in one line: `17 of 17 tables row by row`, then what was compared in another way, or not.

    `but` are the columns of each table that are not compared.
    """
    count = Counter(how.values())
    parts = [say("{rows} of {count} tables row by row", rows=count["rows"], count=len(how))]
    parts += [
        say(
            "{count} of {tables} {words}: {listed}",
            count=count[cover],
            tables=len(how),
            words=_WORDS[cover],
            listed=_listed(
                _with_columns(name, (but or {}).get(name, ()) if cover == "columns" else ())
                for name, one in how.items()
                if one == cover
            ),
        )
        for cover in _LESS
        if count[cover]
    ]
    if left_out:
        parts.append(
            say(
                "{count} left out: {listed}",
                count=len(left_out),
                listed=_listed((say("{name} ({why})", name=name, why=why) for name, why in left_out.items())),
            )
        )
    return join("; ", parts)


def _with_columns(name: str, columns: Sequence[str]) -> str:
    return say("{name} ({why})", name=name, why=_listed(columns)) if columns else name


def _listed(names: Iterable[str]) -> str:
    every = sorted(names)
    return join(", ", every[:NAMED]) + (
        say(" and {count} more", count=len(every) - NAMED) if len(every) > NAMED else ""
    )
