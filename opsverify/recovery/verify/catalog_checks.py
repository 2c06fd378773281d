"""Ledger queries repeated after a restore, other than on rows: kinds of the catalog, large objects, sequences."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.language.message import join, say
from opsverify.recovery.ledger.catalog import UNREADABLE, VERSION, changes, read_catalog
from opsverify.recovery.ledger.catalog_server import MAJOR
from opsverify.recovery.ledger.large_objects import read_large_objects
from opsverify.recovery.ledger.sequence_values import list_sequences
from opsverify.recovery.verify.finding import Finding, apart, while_listed
from opsverify.recovery.verify.new_relations import of_new_relations
from opsverify.units import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.sequence_values import Sequence
    from opsverify.recovery.verify.finding import Errors

_THINGS = {
    "row_security": say("policies and tables with row security"),
    "text_search": say("objects of text search"),
    "foreign": say("objects of foreign data"),
}


def check_catalog(history: History, kind: str, restored: Source) -> Finding:
    """Compare the catalog's objects of `kind` with what was recorded of them last; tables made since are notes."""
    if history.catalog_version != VERSION:
        return Finding(0, kind, unknown=_of_another_version(kind))
    recorded = history.catalog.get(kind, {})
    found = read_catalog(restored, [kind])[kind]
    new = of_new_relations(found.keys() - recorded.keys(), history, restored)
    lines = changes(recorded, {name: definition for name, definition in found.items() if name not in new})
    if lines and (doubt := _other_major(history, restored)):
        return Finding(len(recorded), kind, unknown=join("; ", (listed(kind, lines), doubt)))
    hint = say(" (restore them; after a deployment capture anew)") if lines else ""
    of = say(
        "of {count:,} {objects} differ from capture {seq}{hint}",
        count=len(recorded),
        objects=_THINGS.get(kind, kind),
        seq=history.seq,
        hint=hint,
    )
    unread = tuple(say("not covered: {line}", line=line) for line in unread_of(recorded))
    notes = tuple(say("{name}: made since it was recorded", name=name) for name in sorted(new))
    unknown = None if lines else join("; ", unread) or None
    return Finding(len(recorded), of, lines, unknown, notes + (unread if lines else ()))


def unread_of(recorded: Mapping[str, str]) -> tuple[str, ...]:
    """Name the objects whose definitions could not be read when they were recorded, with the reason."""
    return tuple(
        say("{name}: its definition could not be read ({reason})", name=name, reason=text.removeprefix(UNREADABLE))
        for name, text in sorted(recorded.items())
        if text.startswith(UNREADABLE)
    )


def _of_another_version(kind: str) -> str:
    return say("{kind} were recorded by another version of opsverify: run `opsverify ledger capture` again", kind=kind)


def _other_major(history: History, restored: Source) -> str:
    """Why definitions may differ without a loss: each major version writes them in its own way; else empty."""
    was = history.catalog.get("settings", {}).get(MAJOR, "")
    now = read_catalog(restored, ["settings"])["settings"][MAJOR]
    if was == now:
        return ""
    return say(
        "recorded on PostgreSQL {was}, this is {now}, which writes definitions otherwise: compare on a server of the "
        "same major version",
        was=was,
        now=now,
    )


def check_large_objects(history: History, restored: Source) -> Finding:
    """Compare the large objects with those recorded: their number, and what they hold where that could be read."""
    was = history.large_objects
    if was is None:
        return Finding(
            0,
            say("large objects not recorded"),
            unknown=say("large objects were not recorded: capture the ledger again"),
        )
    now = read_large_objects(restored)
    if was.objects == now.objects and was.content and now.content and was.form != now.form:
        why = _of_another_version(say("large objects"))
        return Finding(was.objects, say("{objects:,} large objects", objects=was.objects), unknown=why)
    if was.objects == now.objects and (was == now or not (was.content and now.content)):
        how = say("row by row") if was.content and now.content else say("by count only")
        return Finding(
            was.objects,
            say("{objects:,} large objects {how}", objects=was.objects, how=how)
            if was.objects
            else say("no large objects"),
        )
    problem = say(
        "large objects: {objects:,} recorded ({size:,} bytes), {found:,} found ({found_size:,} bytes)",
        objects=was.objects,
        size=was.size,
        found=now.objects,
        found_size=now.size,
    )
    return Finding(was.objects, say("{objects:,} large objects differ", objects=was.objects), (problem,))


def check_sequence_values(history: History, restored: Source, errors: Errors = ()) -> Finding:
    """Find sequences that would give out again what was given out when they were recorded, whatever uses them.

    Each is read by itself, and may end with one of `errors`.
    """
    sequences = list_sequences(restored)
    problems, unknown = apart(
        sequences,
        while_listed(
            partial(_wrong_value, history, restored), partial(list_sequences, restored), lambda sequence: sequence.name
        ),
        errors,
        lambda sequence: sequence.name,
    )
    if history.catalog_version != VERSION and history.sequences.keys() - {sequence.name for sequence in sequences}:
        unknown.append(_of_another_version("sequences"))
    of = say("of {count} recorded sequences are behind", count=len(history.sequences))
    return Finding(len(history.sequences), of, tuple(problems), None if problems else join("; ", unknown) or None)


def _wrong_value(history: History, restored: Source, sequence: Sequence) -> Iterator[str]:
    was, now = history.sequences.get(sequence.name), sequence.value(restored)
    if was is not None and not was.cycles and None in (was.last, now.last):  # when it was recorded, or now
        raise Inconclusive(say("sequence {name}: GRANT SELECT on it, and USAGE on its schema", name=sequence.name))
    if was is not None and now.behind(was):
        yield say(
            "sequence {name} gives {next} next, {recorded} recorded: setval it",
            name=sequence.name,
            next=now.following,
            recorded=was.following,
        )
    elif now.last is not None and not sequence.least <= now.last <= sequence.most:
        yield say(
            "sequence {name} is at {last}, outside of its bounds {least} and {most}: setval it",
            name=sequence.name,
            last=now.last,
            least=sequence.least,
            most=sequence.most,
        )
