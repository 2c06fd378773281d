"""Entries of a timeline, written by a person: declare a disaster, mark a step; refused where out of order."""

from __future__ import annotations

import datetime as dt
import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.config.load import find_target, load_target
from opsverify.config.overrides import moment_in
from opsverify.errors import OpsVerifyError, Refused, TargetError
from opsverify.evidence.redact import Redactor
from opsverify.evidence.signature import public_half
from opsverify.incident.checklist import CUSTOMER_NOTICE, FREE, STEPS, SWITCHBACK, TOLD, ChecklistStep, step_named
from opsverify.incident.downtime import downtime
from opsverify.incident.evidence_gate import evidence_for
from opsverify.incident.timeline import Event, Incident, begin, declaring, find
from opsverify.language.message import Message, join, say
from opsverify.language.tell import complain
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets

REPORTS = "reports"
_LEAST_REASON = 10
_CLOCKS = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Entry:
    """What a person gives with `declare` or `mark`; times are ISO 8601 with zone."""

    by: str | None = None
    at: str | None = None
    note: str = ""
    evidence: str | None = None
    exception: str | None = None
    disaster_at: str | None = None
    impact: str | None = None
    loss: str | None = None
    actions: tuple[str, ...] = ()
    severity: str | None = None
    level: str | None = None
    root_cause: str | None = None


def declare(target_name: str, root: Path, entry: Entry) -> Incident:
    """Declare a disaster on the target: the RTO runs from here.

    Raises Refused while another incident is open on the target or for a disaster after its declaration,
    TargetError for a time that cannot be parsed.
    """
    target, secrets = _target(target_name, root)
    entry = _without_secrets(entry, secrets)
    at = _moment("--at", entry.at) or dt.datetime.now(dt.UTC)
    disaster = _moment("--disaster-at", entry.disaster_at)
    if disaster is not None and disaster > at:
        raise Refused(
            say(
                "--disaster-at {disaster}: after the declaration ({declared})",
                disaster=disaster.isoformat(),
                declared=at.isoformat(),
            )
        )
    event = _event("declare", target.name, entry, at)
    with declaring(root / REPORTS):
        return begin(root / REPORTS, target.name, at).append(event)


def mark(target_name: str, root: Path, incident_name: str | None, step_name: str, entry: Entry) -> Incident:
    """Record that a step is done. Raises Refused where it is out of order, or no evidence opens its gate.

    With `entry.exception` it is recorded all the same, with that reason and with the refusal.
    """
    target, secrets = _target(target_name, root)
    public_key = _public_key(target, secrets)
    entry = _without_secrets(entry, secrets)
    incident = find(root / REPORTS, target.name, incident_name)
    newest = max(incident.events, key=lambda event: event.moment)
    at = _moment("--at", entry.at) or max(dt.datetime.now(dt.UTC), newest.moment)
    # Whom somebody called at 03:05 is often written down after the next step: nothing hangs on its place.
    earliest = incident.events[0] if step_name in (TOLD, CUSTOMER_NOTICE) else newest
    if at < earliest.moment:
        raise Refused(
            say(
                "--at {at}: before the newest entry ({newest}); correct --at",
                at=at.isoformat(),
                newest=earliest.at,
            )
            if earliest is newest
            else say("--at {at}: before the declaration ({declared})", at=at.isoformat(), declared=earliest.at)
        )
    if step_name == TOLD and not entry.level:
        raise Refused(say("told: missing --level; name the level that was told, such as L2"))
    if step_name in FREE:
        return incident.append(_event(step_name, target.name, entry, at))
    refusal, evidence = _refusal(incident, step_name, root / REPORTS, entry, public_key)
    exception = None
    if refusal is not None:
        if entry.exception is None:
            raise Refused(say("{refusal}; or record it with --exception REASON", refusal=refusal))
        if len(entry.exception) < _LEAST_REASON:
            raise Refused(
                say(
                    "--exception {exception!r}: too short; expected a sentence that says why it cannot wait",
                    exception=entry.exception,
                )
            )
        exception = f"{entry.exception} ({refusal})"
    return incident.append(_event(step_name, target.name, entry, at, evidence, exception))


def status(target_name: str, root: Path, incident_name: str | None) -> Iterator[str]:
    """Lines that say what is done, since when, and what the next step needs."""
    target, _ = load_target(find_target(target_name, root / "targets"), with_secrets=False)
    incident = find(root / REPORTS, target.name, incident_name)
    began = incident.events[0].moment
    until = incident.events[-1].moment if incident.closed else dt.datetime.now(dt.UTC)
    state = say("closed") if incident.closed else say("open")
    spent = elapsed(round((until - began).total_seconds()))
    yield say(
        "incident {id}: {state}, {spent} since the declaration; RTO {rto}",
        id=incident.id,
        state=state,
        spent=spent,
        rto=target.limits.rto.text,
    )
    for event in incident.events:
        passed = elapsed(round((event.moment - began).total_seconds()))
        proof = say("  evidence {run}", run=event.evidence) if event.evidence else ""
        excused = say("  EXCEPTION {reason}", reason=event.exception) if event.exception else ""
        note = "".join(f"  {text}" for text in (event.severity, event.level, event.note) if text)
        yield join("", (f"  {event.step:<12} {event.at}  +{passed:<8} {event.by}{note}", proof, excused))
    if incident.torn:
        yield say("  its last line was never finished: not counted; the next entry sets it aside")
    if incident.in_switchback:
        yield join("", ("  ", str(downtime(incident))))
    step = incident.next_step
    if step is not None and not incident.closed:
        yield say("  next: {step}", step=_text(step))
    elif target.regions is not None and not incident.in_switchback:
        yield say("  switchback: begins with {step}", step=_text(SWITCHBACK[0]))


def _refusal(
    incident: Incident, step_name: str, reports: Path, entry: Entry, public_key: str | None
) -> tuple[str | None, str | None]:
    """Why the step must not be marked (None: it may), and the run that opens its gate."""
    step = step_named(step_name)
    reasons: list[str] = []
    expected = incident.next_step
    if incident.ended(SWITCHBACK if step in SWITCHBACK else STEPS):
        reasons.append(
            say(
                "incident {id}: {part} is closed",
                id=incident.id,
                part=say("switchback") if step in SWITCHBACK else say("recovery"),
            )
        )
    elif expected is not None and expected != step:
        again = (
            say("{name} was marked before", name=step.name)
            if incident.of(step.name)
            else say("{name} is out of order", name=step.name)
        )
        reasons.append(
            say("{again}: {name} ({runbook}) comes next", again=again, name=expected.name, runbook=expected.runbook)
        )
    evidence = None
    if step.gate is not None:
        evidence, fault = evidence_for(step.gate, incident, reports, entry.evidence, public_key)
        if fault is not None:
            reasons.append(say("{name} needs {gate}; {fault}", name=step.name, gate=step.gate, fault=fault))
    if step.reports:
        reasons += _missing(incident, step, entry)
    return (join("; ", reasons) if reasons else None), evidence


def _missing(incident: Incident, step: ChecklistStep, entry: Entry) -> Iterator[str]:
    """What is missing in a report."""
    missing = [name for name in ("impact", "loss") if not getattr(entry, name)]
    missing += [] if entry.actions else ["action"]
    if missing:
        yield say("report of {name}: missing {names}", name=step.name, names=", ".join(f"--{name}" for name in missing))
    if step in SWITCHBACK:
        yield from downtime(incident).problems


def _text(step: ChecklistStep) -> str:
    title = Message.of(step.en, step.ko)
    if not step.gate:
        return say("{name} ({runbook}, {title})", name=step.name, runbook=step.runbook, title=title)
    return say(
        "{name} ({runbook}, {title}) needs {gate}", name=step.name, runbook=step.runbook, title=title, gate=step.gate
    )


def _event(
    step: str,
    target: str,
    entry: Entry,
    at: dt.datetime,
    evidence: str | None = None,
    exception: str | None = None,
) -> Event:
    now = dt.datetime.now(dt.UTC)
    if entry.at is not None and at > now + _CLOCKS:
        raise Refused(say("--at {at}: in the future; expected a time that has passed", at=at.isoformat()))
    disaster = _moment("--disaster-at", entry.disaster_at)
    return Event(
        step=step,
        at=at.astimezone(dt.UTC).isoformat(timespec="seconds"),
        recorded_at=now.isoformat(timespec="seconds"),
        by=entry.by or getpass.getuser(),
        target=target,
        note=entry.note,
        evidence=evidence,
        exception=exception,
        disaster_at=disaster.isoformat() if disaster else None,
        impact=entry.impact,
        loss=entry.loss,
        actions=entry.actions,
        severity=entry.severity,
        level=entry.level,
        root_cause=entry.root_cause,
    )


def _target(name: str, root: Path) -> tuple[Target, Secrets]:
    """The target, with its secrets where they are available: a disaster may have taken them."""
    path = find_target(name, root / "targets")
    try:
        return load_target(path)
    except TargetError as error:
        complain(
            say(
                "secrets not available, evidence is accepted without its signature: {problems}",
                problems=error.problems[0],
            ),
            load_target(path, with_secrets=False)[0].language,
        )
        return load_target(path, with_secrets=False)


def _without_secrets(entry: Entry, secrets: Secrets) -> Entry:
    """An entry is kept for years and printed: a password in its text is not."""
    clean = Redactor(secrets.values).data(vars(entry))
    return Entry(**{**clean, "actions": tuple(clean["actions"])})


def _public_key(target: Target, secrets: Secrets) -> str | None:
    """The public half of the target's signing key, if that is available."""
    key = target.evidence.signing_key
    if key is None or not secrets.values:
        return None
    try:
        return public_half(secrets[key])
    except OpsVerifyError as error:
        complain(
            say("evidence is accepted without its signature: {error}", error=error),
            target.language,
        )
        return None


def _moment(option: str, text: str | None) -> dt.datetime | None:
    return None if text is None else moment_in(option, text)
