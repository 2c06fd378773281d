"""The command line of recovery: `opsverify dr ...` and `opsverify rehearse`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

from opsverify.config.project import project_root, target_argument
from opsverify.incident.checklist import NOTE, STEPS, WAY_BACK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from opsverify.cli.incident import Said
    from opsverify.incident.timeline import Incident


def add_recovery(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type of its subparsers private
    """Declare `dr` with its verbs, and `rehearse`."""
    recovery = commands.add_parser(
        "dr", help="target, heartbeat, declare, mark, status, report: what a recovery needs, and its record"
    )
    verbs = recovery.add_subparsers(required=True, metavar="VERB")

    newest = _verb(verbs, "target", "the newest point in time that can be recovered")
    newest.set_defaults(run=_newest)

    heartbeat = _verb(verbs, "heartbeat", "write acknowledged commits down outside of the database, all the time")
    heartbeat.add_argument("--every", help="time from one beat to the next, such as 1s (default: the target's)")
    heartbeat.add_argument("--beats", type=int, metavar="N", help="end after N beats (default: never)")
    heartbeat.set_defaults(run=_heartbeat)

    declare = _verb(verbs, "declare", "declare a disaster: the RTO runs from here")
    _said(declare)
    declare.add_argument("--disaster-at", metavar="TIME", help="when it happened (ISO 8601)")
    declare.set_defaults(run=_declare)

    mark = _verb(verbs, "mark", "record that a step of the checklist is done, with its evidence")
    mark.add_argument("step", metavar="STEP", help=", ".join((*(step.name for step in (*STEPS[1:], *WAY_BACK)), NOTE)))
    _said(mark)
    _incident(mark)
    mark.add_argument("--evidence", metavar="RUN", help="the run that proves it (default: the newest that does)")
    mark.add_argument("--exception", metavar="REASON", help="record it out of order or without evidence, and why")
    mark.add_argument("--impact", help="close, report: the stretch of time and the services that were affected")
    mark.add_argument("--loss", help="close, report: what was lost, or none")
    mark.add_argument("--action", action="append", default=[], help="close, report: what keeps it from happening again")
    mark.set_defaults(run=_mark)

    status = _verb(verbs, "status", "what is done, since when, and what the next step needs")
    _incident(status)
    status.set_defaults(run=_status)

    report = _verb(verbs, "report", "one page: an incident's, or a rehearsal's")
    _incident(report)
    report.add_argument("--run", dest="run_folder", metavar="RUN", help="a rehearsal's id or folder, or latest")
    report.add_argument("--language", choices=("ko", "en"), help="shown first (default: the target's)")
    report.set_defaults(run=_report)

    rehearse = commands.add_parser("rehearse", help="the weekly rehearsal, unattended: newest target, verdict, page")
    rehearse.add_argument("--target", required=True, metavar="NAME_OR_FILE")
    rehearse.add_argument("--report-dir", help="put the run's evidence directly in this folder")
    rehearse.set_defaults(run=_rehearse)


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:  # noqa: ANN401 - as above
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--target", required=True, metavar="NAME_OR_FILE")
    return parser


def _said(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="who did it (default: the user)")
    parser.add_argument("--at", metavar="TIME", help="when it was done (ISO 8601; default: now)")
    parser.add_argument("--note", default="", help="a line for the report")


def _incident(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--incident", metavar="ID", help="default: the target's open one, else its newest")


def _newest(options: argparse.Namespace, _more: Sequence[str]) -> int:
    from opsverify.cli.ledger import newest_target  # noqa: PLC0415 - only for this command

    sys.stdout.write(f"{newest_target(target_argument(options.target), project_root()).isoformat()}\n")
    return 0


def _heartbeat(options: argparse.Namespace, _more: Sequence[str]) -> int:
    from opsverify.cli.heartbeat import beat  # noqa: PLC0415 - only for this command

    return beat(target_argument(options.target), project_root(), options.every, options.beats)


def _declare(options: argparse.Namespace, _more: Sequence[str]) -> int:
    from opsverify.cli import incident as commands  # noqa: PLC0415 - only for this command

    incident = commands.declare(target_argument(options.target), project_root(), _words(options))
    return _show(incident, options)


def _mark(options: argparse.Namespace, _more: Sequence[str]) -> int:
    from opsverify.cli import incident as commands  # noqa: PLC0415 - only for this command

    target = target_argument(options.target)
    incident = commands.mark(target, project_root(), options.incident, options.step, _words(options))
    return _show(incident, options)


def _status(options: argparse.Namespace, _more: Sequence[str]) -> int:
    from opsverify.cli import incident as commands  # noqa: PLC0415 - only for this command

    for line in commands.status(target_argument(options.target), project_root(), options.incident):
        sys.stdout.write(f"{line}\n")
    return 0


def _report(options: argparse.Namespace, _more: Sequence[str]) -> int:
    from opsverify.report.publish import publish_incident, publish_rehearsal  # noqa: PLC0415 - only for this command

    root, target = project_root(), target_argument(options.target)
    if options.run_folder:
        path = publish_rehearsal(options.run_folder, root, options.language)
    else:
        path = publish_incident(target, root, options.incident, options.language)
    sys.stdout.write(f"{path}\n")
    return 0


def _rehearse(options: argparse.Namespace, more: Sequence[str]) -> NoReturn:
    from opsverify.cli.rehearse import rehearse  # noqa: PLC0415 - only for this command

    rehearse(target_argument(options.target), project_root(), options.report_dir, more)


def _show(incident: Incident, options: argparse.Namespace) -> int:
    from opsverify.cli import incident as commands  # noqa: PLC0415 - only for this command

    for line in commands.status(target_argument(options.target), project_root(), incident.id):
        sys.stdout.write(f"{line}\n")
    return 0


def _words(options: argparse.Namespace) -> Said:
    from opsverify.cli.incident import Said  # noqa: PLC0415 - only for these commands

    given = vars(options)
    return Said(
        by=given.get("by"),
        at=given.get("at"),
        note=given.get("note") or "",
        evidence=given.get("evidence"),
        exception=given.get("exception"),
        disaster_at=given.get("disaster_at"),
        impact=given.get("impact"),
        loss=given.get("loss"),
        actions=tuple(given.get("action") or ()),
    )
