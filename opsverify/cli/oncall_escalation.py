"""`opsverify oncall escalation`: each level of an incident with its deadline, its people, and what was marked."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.dr.entry import add_incident
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.core.exit_codes import ExitCode
from opsverify.incident.entries import REPORTS
from opsverify.incident.timeline import find
from opsverify.language.message import say
from opsverify.language.tell import tell
from opsverify.report.escalation import escalation_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    add_incident(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print the escalation; 10 where something is late or overdue, or no severity says what is due. Raises Refused."""
    root = project_root(options.target)
    target, _ = load_target(find_target(target_argument(options.target), root / "targets"), with_secrets=False)
    incident = find(root / REPORTS, target.name, options.incident)
    lines = escalation_of(incident, target, dt.datetime.now(dt.UTC))
    language = reader_language(options)
    tell(say("incident {id}", id=incident.id), language)
    for line in lines:
        tell(line.text, language)
    if not any(event.severity for event in incident.events):
        tell(say("no severity recorded: opsverify dr mark note --severity sev1|sev2|sev3"), language)
        return ExitCode.HOLD
    return ExitCode.HOLD if any(line.kind == "fail" for line in lines) else ExitCode.PASSED
