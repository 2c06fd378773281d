"""`opsverify ledger capture`: record the core tables, so that a later recovery can be verified."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.cli.arguments import add_target
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.errors import TargetError
from opsverify.language.message import say
from opsverify.recovery.ledger.capture import capture_details
from opsverify.recovery.ledger.history import History
from opsverify.recovery.ledger.ledger import Ledger
from opsverify.recovery.ledger.queries import NAMES_ON
from opsverify.recovery.ledger.tables import TableChoice
from opsverify.recovery.ledger.validations import recordable
from opsverify.recovery.restore.recoverable import newest_recoverable
from opsverify.recovery.verify.coverage import outside
from opsverify.recovery.verify.questions import production_of
from opsverify.recovery.verify.rows import validations_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from opsverify.recovery.ledger.ledger import Recorded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", choices=("capture",))
    add_target(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Capture, and print what was recorded."""
    sys.stdout.write(f"{capture(target_argument(options.target), project_root(options.target))}\n")
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
            recordable(source, validations, target.recovery.not_applicable),
            more=lambda at, before: (
                capture_details(named, at, before, chosen, tag, left_out) | {"production": production_of(named)}
            ),
        )
    counts = ", ".join(f"{table} {len(facts)} keys" for table, facts in recorded.tables.items())
    head = ledger.verify_chain().head
    when = recorded.captured_at.isoformat()
    line = f"recorded {counts or 'no validation'} as of {when} in {ledger.path} (record {recorded.seq}, head {head})"
    return "\n".join([line, *_core(ledger, recorded)])


def _core(ledger: Ledger, recorded: Recorded) -> Iterator[str]:
    """One line for each core table: what the ledger holds of it now, and what it leaves out."""
    history = History.of(ledger.bodies_until(recorded.captured_at))
    for name, core in sorted(history.tables.items()):
        new = len(recorded.new_buckets.get(name, ()))
        reach = f", up to {core.until}" if core.until else ""
        opened = f", {core.open.rows:,} {'open ' if core.first else ''}rows" if core.open else ""
        keys = "; keys only until a later capture shows which columns change" if core.table.keys_only else ""
        closed = f" {len(core.buckets):,} closed buckets ({new:,} new), {core.rows:,} rows{reach}"
        yield f"  {name}:{closed}{opened}{keys}" if core.first else f"  {name}{opened.replace(',', ':', 1)}{keys}"
    for line in history.skipped:
        yield f"  not covered: {line}"


def newest_target(target_name: str, root: Path) -> dt.datetime:
    """The newest point in time to which backup and WAL archive can recover without a gap (runbook 5-2).

    Raises Inconclusive, naming segment and time, where the archive has a gap before its end.
    """
    target, _ = load_target(find_target(target_name, root / "targets"), with_secrets=False)
    if target.recovery is None:
        raise TargetError(say("target {name}: needs [recovery]", name=target.name))
    return newest_recoverable(target.recovery)
