"""`opsverify incident report`: the draft of an incident's report, with the source of every time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.overrides import moment_in
from opsverify.config.project import project_root, target_argument
from opsverify.errors import EvidenceError, OpsVerifyError, TargetError
from opsverify.evidence.target_state import TargetState
from opsverify.incident.entries import REPORTS
from opsverify.incident.timeline import find
from opsverify.language.message import Message, as_message, say
from opsverify.language.tell import tell
from opsverify.probes.access import access_to
from opsverify.report.incident_report import IncidentFacts
from opsverify.report.incident_times import fired, ran
from opsverify.report.publish import publish_incident_report, target_and_redactor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from opsverify.config.model import Target
    from opsverify.incident.timeline import Incident
    from opsverify.report.incident_times import FiredAlert


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "incident", nargs="?", metavar="ID", help=say("default: the target's open one, else its newest")
    )
    add_target(parser)
    parser.add_argument("--since", metavar="TIME", help=say("of what was never declared: runs and alerts from here on"))
    parser.add_argument(
        "--until", metavar="TIME", help=say("up to here (default: its last entry once closed, else now)")
    )
    parser.add_argument(
        "--out", metavar="FILE", help=say("one file, .md or .html (default: all, in the incident's folder)")
    )
    parser.add_argument("--offline", action="store_true", help=say("do not query Prometheus for alerts"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Write the draft and print its paths. Raises Refused, TargetError, EvidenceError."""
    if options.incident and options.since:
        raise TargetError(say("--since {since}: not with an incident's id", since=options.since))
    root, name = project_root(options.target), target_argument(options.target)
    target, redactor = target_and_redactor(name, root)
    facts = _facts(options, target, root)
    output = Path(options.out).resolve() if options.out else None
    for path in publish_incident_report(facts, redactor, root, output, options.language):
        tell(str(path), reader_language(options))
    return 0


def _facts(options: argparse.Namespace, target: Target, root: Path) -> IncidentFacts:
    now = dt.datetime.now(dt.UTC)
    incident = None if options.since else find(root / REPORTS, target.name, options.incident)
    since = moment_in("--since", options.since) if options.since else _begin(incident)
    closed = max(event.moment for event in incident.events) if incident and incident.closed else now
    until = moment_in("--until", options.until) if options.until else closed
    if until <= since:
        raise TargetError(say("--until {until}: before {since}", until=until.isoformat(), since=since.isoformat()))
    try:
        runs = tuple(ran(TargetState.of(root / REPORTS, target.name), since, until))
    except EvidenceError as error:
        raise EvidenceError(say("runs of {target}: {error}", target=target.name, error=error)) from error
    alerts, problem = _alerts(options, target, root, since, until)
    return IncidentFacts(target, since, until, incident, runs, alerts, problem)


def _begin(incident: Incident | None) -> dt.datetime:
    """The disaster, where it is recorded, else the declaration."""
    if incident is None:
        raise TargetError(say("missing incident"))
    first = incident.events[0]
    return dt.datetime.fromisoformat(first.disaster_at) if first.disaster_at else first.moment


def _alerts(
    options: argparse.Namespace, target: Target, root: Path, since: dt.datetime, until: dt.datetime
) -> tuple[tuple[FiredAlert, ...], Message | None]:
    """The alerts that fired in that time, or why they are not known."""
    config = target.prometheus
    if config is None:
        return (), as_message(target.absence("prometheus"))
    if options.offline:
        return (), say("not queried (--offline)")
    from opsverify.probes.prometheus import Prometheus  # noqa: PLC0415 - 170 ms, only where it is queried

    try:
        _, secrets = load_target(find_target(target_argument(options.target), root / "targets"))
        matchers = ",".join(filter(None, ('alertstate="firing"', config.alerting_rules)))
        with Prometheus(config, access_to(config, secrets, target.proxy)) as prometheus:
            span_s = (until - since).total_seconds()
            return tuple(fired(prometheus.history(f"ALERTS{{{matchers}}}", span_s, until.timestamp()))), None
    except OpsVerifyError as error:
        return (), as_message(str(error))
