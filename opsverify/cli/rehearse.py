"""`opsverify rehearse`: the whole weekly rehearsal, unattended."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from opsverify.cli.arguments import add_run_options, add_target
from opsverify.cli.ledger import newest_target
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.config.run_options import arguments_of
from opsverify.errors import EvidenceError, Inconclusive
from opsverify.language.message import say
from opsverify.language.tell import tell
from opsverify.probes.eventually import eventually
from opsverify.recovery.ledger.ledger import Ledger
from opsverify.recovery.restore.recoverable import NotYetRecoverable
from opsverify.units import duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from typing import Any


_EVERY_S: Final = 2.0
_WAIT_S: Final = 120.0
"""How long a rehearsal waits for the archive to reach past backup and record: two archive timeouts, and more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    add_run_options(parser, "rehearse")


def run(options: argparse.Namespace, pytest_args: Sequence[str]) -> NoReturn:
    """Verify the stage `rehearsal` up to the newest point in time that can be recovered; exit code as `verify`'s.

    Without such a point the stage runs all the same, so that its verdict and evidence say why it holds.
    """
    target, language = target_argument(options.target), reader_language(options)
    arguments = ["verify", "rehearsal", "--target", target]
    try:
        moment = _recovery_target(target, language)
        tell(say("rehearsal: newest recovery target {moment}", moment=moment.isoformat()), language)
        arguments += ["--recovery-target", moment.isoformat()]
    except Inconclusive as error:
        tell(say("rehearsal: no recovery target: {error}", error=error), language)
    arguments += arguments_of(options)
    if pytest_args:
        arguments += ["--", *pytest_args]
    sys.stdout.flush()
    # In this process's place, so that a job's signals and the exit code are the stage's own.
    os.execv(sys.executable, [sys.executable, "-m", "opsverify", *arguments])  # noqa: S606 - no shell, our interpreter


def _recovery_target(target: str, language: str) -> dt.datetime:
    """The newest recovery target, waited for where the next WAL segment brings one after backup and first record.

    Raises Inconclusive as `newest_target`: what no segment mends is not waited for.
    """
    first_record, told = _first_record(target), False

    def newest() -> dt.datetime | Inconclusive:
        nonlocal told
        found: dt.datetime | Inconclusive
        try:
            found = newest_target(target, project_root(target), first_record)
        except Inconclusive as error:
            found = error
        if not told and not _settled(found, first_record):
            told = True
            tell(
                say(
                    "rehearsal: waiting up to {wait_s} for {missing}",
                    wait_s=duration(_WAIT_S),
                    missing=_missing(found, first_record),
                ),
                language,
            )
            sys.stdout.flush()
        return found

    found = eventually(
        newest,
        lambda found: _settled(found, first_record),
        deadline_s=_WAIT_S,
        every_s=_EVERY_S,
        what=say("a recovery target"),
    )
    if isinstance(found, Inconclusive):
        raise found
    return found


def _settled(found: dt.datetime | Inconclusive, first_record: dt.datetime | None) -> bool:
    """Whether waiting for the next WAL segment would change nothing."""
    if isinstance(found, Inconclusive):
        return not isinstance(found, NotYetRecoverable)
    return first_record is None or found > first_record


def _missing(found: dt.datetime | Inconclusive, first_record: dt.datetime | None) -> str:
    if isinstance(found, Inconclusive):
        return say("the first recovery target: {found}", found=found)
    return say(
        "a commit after the ledger's first record ({first_record}) in the WAL archive; archived so far: {found}; on a "
        "quiet database SELECT pg_current_xact_id(), then pg_switch_wal()",
        first_record=first_record,
        found=found,
    )


def _first_record(target: str) -> dt.datetime | None:
    """When the ledger's first record was read whole; None where there is none (the verdict names that), or no WAL."""
    found, _ = load_target(find_target(target, project_root() / "targets"), with_secrets=False)
    if found.recovery is None or found.recovery.method == "pg_dump":
        return None
    try:
        bodies = Ledger(Path(found.recovery.ledger)).bodies_until(dt.datetime.now(dt.UTC))
        return next((dt.datetime.fromisoformat(_read_whole(body)) for _, body in bodies), None)
    except (Inconclusive, EvidenceError):
        return None


def _read_whole(body: Mapping[str, Any]) -> str:
    """When the last row of a record was read: a target before that has none of the rows that were read late."""
    return str((body.get("rows_read") or {}).get("until") or body["captured_at"])
