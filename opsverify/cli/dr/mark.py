"""`opsverify dr mark`: record that a step of the checklist is done, with its evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.dr.entry import add_entry, add_incident, add_severity, print_status
from opsverify.config.project import project_root, target_argument
from opsverify.incident.checklist import FREE, STEPS, SWITCHBACK
from opsverify.incident.entries import Entry, mark
from opsverify.language.message import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    names = (*(step.name for step in (*STEPS[1:], *SWITCHBACK)), *FREE)
    parser.add_argument("step", metavar="STEP", help=say("step of the checklist: {names}", names=", ".join(names)))
    add_entry(parser)
    add_incident(parser)
    parser.add_argument("--evidence", metavar="RUN", help=say("the run that proves it (default: the newest that does)"))
    parser.add_argument(
        "--exception", metavar="REASON", help=say("record it out of order or without evidence, and why")
    )
    parser.add_argument(
        "--impact", metavar="TEXT", help=say("close, report: the stretch of time and the services that were affected")
    )
    parser.add_argument("--loss", metavar="TEXT", help=say("close, report: what was lost, or none"))
    parser.add_argument(
        "--action",
        metavar="TEXT",
        action="append",
        default=[],
        help=say('close, report: what keeps it from happening again, as "more disk [kim, 2026-12-05]"'),
    )
    parser.add_argument("--root-cause", metavar="TEXT", help=say("what it came from, for the report"))
    add_severity(parser)
    parser.add_argument("--level", metavar="LEVEL", help=say("told: the level that was told, such as L2 (--note: who)"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Record the step and print the status. Raises Refused."""
    entry = Entry(
        by=options.by,
        at=options.at,
        note=options.note,
        evidence=options.evidence,
        exception=options.exception,
        impact=options.impact,
        loss=options.loss,
        actions=tuple(options.action),
        severity=options.severity,
        level=options.level,
        root_cause=options.root_cause,
    )
    incident = mark(target_argument(options.target), project_root(), options.incident, options.step, entry)
    print_status(options, incident.id)
    return 0
