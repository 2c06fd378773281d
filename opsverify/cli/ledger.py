"""`opsverify ledger capture`: record the core tables, so that a later recovery can be verified."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.cli.arguments import add_target
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.errors import TargetError
from opsverify.language.message import join, say
from opsverify.language.tell import tell
from opsverify.recovery.ledger.capture import capture_details
from opsverify.recovery.ledger.history import History, TableHistory
from opsverify.recovery.ledger.ledger import Ledger
from opsverify.recovery.ledger.queries import NAMES_ON
from opsverify.recovery.ledger.tables import TableChoice
from opsverify.recovery.ledger.validations import recordable
from opsverify.recovery.restore.recoverable import newest_recoverable
from opsverify.recovery.verify.catalog_checks import unread_of
from opsverify.recovery.verify.coverage import outside
from opsverify.recovery.verify.questions import production_of
from opsverify.recovery.verify.rows import not_applicable_of, validations_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from opsverify.recovery.ledger.ledger import Recorded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action", choices=("capture",), metavar="ACTION", help=say("capture: record core tables and catalog")
    )
    add_target(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Capture, and print what was recorded."""
    tell(capture(target_argument(options.target), project_root(options.target)), reader_language(options))
    return 0


def capture(target_name: str, root: Path) -> str:
    """Record the core tables' closed buckets in the target's ledger; lines that name what was recorded.

    Raises TargetError, Inconclusive (the database is not reachable) or EvidenceError (the ledger cannot be written).
    """
    from opsverify.probes.postgres import Postgres  # noqa: PLC0415 - probes are imported when used

    target, secrets = load_target(find_target(target_name, root / "targets"))
    if target.postgres is None or target.recovery is None:
        raise TargetError(say("target {name}: ledger capture needs [postgres] and [recovery]", name=target.name))
    validations = validations_of(target)
    ledger = Ledger(Path(target.recovery.ledger))
    chosen = {name: TableChoice(**table.model_dump()) for name, table in target.recovery.tables.items()}
    tag, left_out = target.synthetic.tag_column, outside(target.recovery)
    with Postgres(target.postgres, secrets.of(target.postgres.login.password)) as postgres:

        def source(sql: str, values: Mapping[str, object]) -> tuple[Any, ...]:
            return postgres.rows(sql, **values)

        names = postgres.on_path(NAMES_ON)

        def named(sql: str, values: Mapping[str, object]) -> tuple[Any, ...]:
            return names.rows(sql, **values)

        recorded = ledger.capture(
            source,
            dt.datetime.now(dt.UTC),
            recordable(source, validations, not_applicable_of(target)),
            more=lambda at, before: (
                capture_details(named, at, before, chosen, tag, left_out) | {"production": production_of(named)}
            ),
        )
    counts = join(
        ", ", (say("{table} {count} keys", table=table, count=len(facts)) for table, facts in recorded.tables.items())
    )
    head = ledger.verify_chain().head
    when = recorded.captured_at.isoformat()
    line = say(
        "recorded {counts} as of {when} in {path} (record {seq}, head {head})",
        counts=counts or say("no validation"),
        when=when,
        path=ledger.path,
        seq=recorded.seq,
        head=head,
    )
    return join("\n", [line, *_core(ledger, recorded)])


def _core(ledger: Ledger, recorded: Recorded) -> Iterator[str]:
    """One line for each core table: what the ledger holds of it now, and what it leaves out."""
    history = History.of(ledger.bodies_until(recorded.captured_at))
    for name, core in sorted(history.tables.items()):
        new = len(recorded.new_buckets.get(name, ()))
        reach = say(", up to {until}", until=core.until) if core.until else ""
        opened = _opened(core)
        keys = say("; keys only until a later capture shows which columns change") if core.table.keys_only else ""
        closed = say(
            " {count:,} closed buckets ({new:,} new), {rows:,} rows{reach}",
            count=len(core.buckets),
            new=new,
            rows=core.rows,
            reach=reach,
        )
        if core.first:
            yield say(
                "  {name}:{closed}{opened}{keys}",
                name=name,
                closed=closed,
                opened=join("", (", " if opened else "", opened)),
                keys=keys,
            )
        else:
            yield (
                say("  {name}: {opened}{keys}", name=name, opened=opened, keys=keys)
                if opened
                else join("", (f"  {name}", keys))
            )
    for line in (*history.skipped, *(line for kind in history.catalog.values() for line in unread_of(kind))):
        yield say("  not covered: {line}", line=line)


def _opened(core: TableHistory) -> str:
    """How many rows no closed bucket holds; nothing where they are not known."""
    if not core.open:
        return ""
    return say("{rows:,} open rows", rows=core.open.rows) if core.first else say("{rows:,} rows", rows=core.open.rows)


def newest_target(target_name: str, root: Path, past: dt.datetime | None = None) -> dt.datetime:
    """The newest point in time to which backup and WAL archive can recover without a gap (runbook 5-2).

    Where it can, it lies past `past`.

    Raises Inconclusive, naming segment and time, where the archive has a gap before its end.
    """
    target, _ = load_target(find_target(target_name, root / "targets"), with_secrets=False)
    if target.recovery is None:
        raise TargetError(say("target {name}: needs [recovery]", name=target.name))
    return newest_recoverable(target.recovery, past)
