"""Report of a switchback: from the incident's timeline, or, where no incident was declared, a signed record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.core.attestation import read_attestation
from opsverify.errors import EvidenceError, Inconclusive
from opsverify.incident.checklist import SWITCHBACK
from opsverify.incident.downtime import downtime
from opsverify.incident.timeline import NAME, current, incidents
from opsverify.language.message import Message, join, say

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.incident.timeline import Incident

_LAST = SWITCHBACK[-1].name


@dataclass(frozen=True)
class SwitchbackReport:
    """Seconds after the switch at which it was written, a summary (by whom, where), and its text."""

    after_s: float
    summary: str
    text: str


def latest_report(target: Target, reports: Path, since: dt.datetime) -> SwitchbackReport:
    """The report of the switch at `since`, from the incidents in `reports` or the target's attestation `switchback`.

    An incident with entries after the outage counts; where the target has no outage time, any does. Raises
    Inconclusive where the report is missing or incomplete, was written before the switch, or was changed afterwards.
    """
    outage_at = target.regions.outage_at if target.regions else None
    try:
        known = [
            incident
            for incident in incidents(reports, target.name)
            if outage_at is None or incident.events[-1].moment >= outage_at.replace(microsecond=0)
        ]
    except EvidenceError as error:
        raise Inconclusive(say("the incident's timeline cannot be used: {error}", error=error)) from error
    if known:
        return _of_incident(current(known), since)
    record = read_attestation(target, "switchback", since, ("downtime", "impact", "actions"))
    summary = say("by {by}, signed off by {signed_off_by}", by=record.by, signed_off_by=record.signed_off_by)
    return SwitchbackReport((record.at - since).total_seconds(), summary, record.text)


def _of_incident(incident: Incident, since: dt.datetime) -> SwitchbackReport:
    step = incident.next_step
    if step is not None and step.name != _LAST:
        raise Inconclusive(
            say(
                "incident {id} does not record {name} ({runbook}, {title}): opsverify dr mark {name} --target {target}",
                id=incident.id,
                name=step.name,
                runbook=step.runbook,
                title=Message.of(step.en, step.ko),
                target=incident.target,
            )
        )
    switched, report = (event for name in ("return", "report") if (event := incident.of(name)))
    problems: list[str] = [
        say("no {name}", name=name)
        for field, name in (("impact", say("impact")), ("loss", say("loss")), ("actions", say("actions")))
        if not getattr(report, field)
    ]
    if problems or (problems := list(downtime(incident).problems)):
        raise Inconclusive(
            say("the report of incident {id} is incomplete: {names}", id=incident.id, names=join("; ", problems))
        )
    for event in (switched, report):
        if event.moment < since:
            raise Inconclusive(
                say(
                    "incident {id}: {step} was recorded at {at}, before traffic was switched ({switched}): "
                    "it is of an earlier switch, or one of the times is wrong",
                    id=incident.id,
                    step=event.step,
                    at=event.at,
                    switched=since.isoformat(timespec="seconds"),
                )
            )
    summary = f"by {report.by} in incident {incident.id}, {downtime(incident)}"
    return SwitchbackReport(
        (report.moment - since).total_seconds(), summary, (incident.folder / NAME).read_text(encoding="utf-8")
    )
