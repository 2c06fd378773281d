"""`opsverify runbook`: each line of the runbook, what carries it out, its newest result, and when."""

from __future__ import annotations

import datetime as dt
import json
import sys
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from opsverify.cli.arguments import add_target
from opsverify.cli.plan import collect
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.core.exit_codes import ExitCode
from opsverify.core.runbook import lines
from opsverify.core.stages import STAGES
from opsverify.evidence.finished import finished_runs
from opsverify.evidence.target_state import TargetState
from opsverify.language.message import in_language, say
from opsverify.people.attested import Attestations
from opsverify.report.traceability import carried, newest_result, signed_result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.report.traceability import Carried

REPORTS: Final = "reports"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    parser.add_argument("--json", action="store_true", help=say("print the table as JSON"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print the table; 10 where a line has neither a check nor a person's signature that counts now.

    Raises TargetError, and EvidenceError where the state of the target is damaged.
    """
    root = project_root(options.target)
    target, _ = load_target(find_target(target_argument(options.target), root / "targets"), with_secrets=False)
    plans = {name: collect(name, options.target, root).planned.values() for name in STAGES}
    rows = list(_with_results(carried(lines().values(), plans), target, root / REPORTS))
    if options.json:
        sys.stdout.write(json.dumps([row.to_dict() for row in rows], ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{in_language(text, target.language)}\n" for text in _table(rows, target.language)))
    return ExitCode.HOLD if any(_is_open(row) for row in rows) else ExitCode.PASSED


def _with_results(rows: Iterator[Carried], target: Target, reports: Path) -> Iterator[Carried]:
    verdicts = finished_runs(TargetState.of(reports, target.name))
    now = dt.datetime.now(dt.UTC)
    people = {name: Attestations(reports, target.name, target.people, name, now) for name in STAGES}
    for row in rows:
        if row.checks:
            yield replace(row, result=newest_result(row, verdicts))
        else:
            yield replace(row, result=signed_result(people[row.stage].result(row.line.id, row.line)))


def _is_open(row: Carried) -> bool:
    return not (row.checks or row.result or row.line.out_of_scope)


def _table(rows: Sequence[Carried], language: str) -> Iterator[str]:
    for line, of_line in groupby(rows, key=lambda row: row.line):
        yield f"{line.id}  {line.ko if language == 'ko' else line.en}"
        for row in of_line:
            means = ", ".join(row.checks) or say("signed for by a person: opsverify attest {line}", line=line.id)
            when = "" if row.result is None else row.result.at
            yield say("  {stage}: {state}  {when}", stage=row.stage, state=row.state, when=when)
            if not row.line.out_of_scope:
                yield say("    {means}", means=means)
    count = sum(map(_is_open, rows))
    yield say("{count} of {all} places are open: no check, and nobody has signed", count=count, all=len(rows))
