"""Timeline of one incident: an append-only file of JSON lines, each on the disk before the next one.

Every line holds the SHA-256 of the line before it and one of itself, so that a line changed or removed later is
found, the newest included.
"""

from __future__ import annotations

import datetime as dt
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock

from opsverify.errors import EvidenceError, Refused
from opsverify.evidence.chain import Chain, append, parse
from opsverify.incident.checklist import STEPS, SWITCHBACK, ChecklistStep
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

NAME: Final = "timeline.jsonl"
SCHEMA: Final = "opsverify.incident/1"
INCIDENTS: Final = "incidents"


@dataclass(frozen=True)
class Event:
    """One line of the timeline.

    `at` is when it happened, `recorded_at` when it was written down (ISO 8601). `evidence` names the run that opened
    the step's gate, `exception` why the step was recorded without it or out of order. `impact`, `loss`,
    `root_cause` and `actions` are those of a report: of the recovery, or of the switchback. `severity` is that of the
    incident from this event on, `level` the level of the escalation that was told.
    """

    step: str
    at: str
    recorded_at: str
    by: str
    target: str
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

    @property
    def moment(self) -> dt.datetime:
        """When it happened."""
        return dt.datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Incident:
    """One incident in its folder, with its events so far."""

    folder: Path
    events: tuple[Event, ...]
    torn: bool = False
    """Whether the file ends with a line that was never finished: set aside by the next entry."""

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def target(self) -> str:
        """The name of its target."""
        return self.events[0].target

    def of(self, step: str) -> Event | None:
        """The newest event of `step`, if it was marked."""
        return next((event for event in reversed(self.events) if event.step == step), None)

    @property
    def next_step(self) -> ChecklistStep | None:
        """The first step of recovery and switchback that was not marked; None when all were."""
        return next((step for step in (*STEPS, *SWITCHBACK) if self.of(step.name) is None), None)

    @property
    def in_switchback(self) -> bool:
        """Whether the switchback was begun."""
        return any(self.of(step.name) for step in SWITCHBACK)

    @property
    def closed(self) -> bool:
        """Whether all that was begun has ended: the recovery, and the switchback if there is one."""
        return self.ended(STEPS) and (not self.in_switchback or self.ended(SWITCHBACK))

    def ended(self, checklist: tuple[ChecklistStep, ...]) -> bool:
        """Whether the last step of a checklist was marked."""
        return self.of(checklist[-1].name) is not None

    def append(self, event: Event) -> Incident:
        """Append `event`; the incident with it. Raises EvidenceError, and Refused after another writer's entry."""
        path = self.folder / NAME

        def unchanged(chain: Chain) -> None:
            if len(chain.lines) != len(self.events):
                raise Refused(
                    say(
                        "{path}: changed by another writer in the meantime; see `opsverify dr status`, then repeat",
                        path=path,
                    )
                )

        try:
            append(path, {"schema": SCHEMA, **vars(event)}, unchanged)
        except OSError as error:
            raise EvidenceError(
                say(
                    "{path}: cannot be written ({strerror}); note it on paper, with the time",
                    path=path,
                    strerror=error.strerror,
                )
            ) from error
        return Incident(self.folder, (*self.events, event))


def read(folder: Path) -> Incident:
    """The incident kept in `folder`. Raises EvidenceError when it cannot be read or was altered."""
    path = folder / NAME
    try:
        chain = parse(path.read_bytes())
    except OSError as error:
        raise EvidenceError(
            say("{path}: cannot be read ({strerror}); name an incident's id", path=path, strerror=error.strerror)
        ) from error
    if chain.fault:
        raise EvidenceError(
            say("{path}, {fault}; keep what is whole with opsverify dr repair", path=path, fault=chain.fault)
        )
    events = []
    for line in chain.lines:
        try:
            events.append(event_of(line.content))
        except (ValueError, KeyError, TypeError) as error:
            raise EvidenceError(
                say(
                    "{path}, line {number}: not an event of an incident: {error}; keep what is whole with "
                    "opsverify dr repair",
                    path=path,
                    number=line.number,
                    error=error,
                )
            ) from error
    if not events:
        raise EvidenceError(say("{path}: no events", path=path))
    return Incident(folder, tuple(events), torn=bool(chain.torn))


def event_of(content: Mapping[str, Any]) -> Event:
    """The event that a line holds. Raises ValueError, KeyError or TypeError where it holds none."""
    known = {field.name for field in fields(Event)}
    values = {name: value for name, value in content.items() if name in known}
    event = Event(**{**values, "actions": tuple(values.get("actions", ()))})
    if event.moment.tzinfo is None:
        raise ValueError("its time has no zone")
    return event


def incidents(reports: Path, target: str | None = None) -> Iterator[Incident]:
    """Every incident (of `target`) in the reports folder, oldest first. Raises EvidenceError for a damaged one."""
    # Another target's damaged timeline is no reason to stop here: target names hold no capital letter.
    folders = "*" if target is None else f"*Z-{target}-????"
    for path in sorted((reports / INCIDENTS).glob(f"{folders}/{NAME}")):
        if not parse(path.read_bytes()).lines:
            continue  # its declaration was never finished
        incident = read(path.parent)
        if target is None or incident.target == target:
            yield incident


def find(reports: Path, target: str, name: str | None) -> Incident:
    """The incident `name` (id or folder), else the open one of `target`, else its newest. Raises Refused."""
    if name is not None:
        given = reports / INCIDENTS / name
        return read(given)
    known = list(incidents(reports, target))
    if not known:
        raise Refused(
            say("no incident was declared on {target}; run opsverify dr declare --target {target}", target=target)
        )
    return current(known)


def current(known: Sequence[Incident]) -> Incident:
    """The open one of some incidents, oldest first, else the newest."""
    return next((incident for incident in known if not incident.closed), known[-1])


def begin(reports: Path, target: str, at: dt.datetime) -> Incident:
    """Make the folder of a new incident on `target`. Raises Refused while another one is open."""
    open_one = next((incident for incident in incidents(reports, target) if not incident.closed), None)
    if open_one is not None:
        raise Refused(
            say("incident {id} on {target} is open; mark its steps, or close it first", id=open_one.id, target=target)
        )
    folder = reports / INCIDENTS / f"{at:%Y%m%dT%H%M%SZ}-{target}-{secrets.token_hex(2)}"
    with _writable(folder):
        folder.mkdir(parents=True)
    return Incident(folder, ())


@contextmanager
def declaring(reports: Path) -> Iterator[None]:
    """Let one process at a time declare: of two people at once, the second sees the first one's incident."""
    folder = reports / INCIDENTS
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "declare.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EvidenceError(
            say(
                "{folder}: cannot be written ({strerror}); free or unlock the folder",
                folder=folder,
                strerror=error.strerror,
            )
        ) from error
