"""Timeline of one incident: an append-only file of JSON lines, each on the disk before the next one.

Every line holds the SHA-256 of the line before it and one of itself, so that a line changed or removed later is
found, the newest included.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock

from opsverify.errors import EvidenceError, Refused
from opsverify.incident.checklist import STEPS, SWITCHBACK, ChecklistStep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

NAME: Final = "timeline.jsonl"
SCHEMA: Final = "opsverify.incident/1"
INCIDENTS: Final = "incidents"
_GENESIS: Final = "0" * 64
_OWN: Final = "sha256"


@dataclass(frozen=True)
class Event:
    """One line of the timeline.

    `at` is when it happened, `recorded_at` when it was written down (ISO 8601). `evidence` names the run that opened
    the step's gate, `exception` why the step was recorded without it or out of order. `impact`, `loss` and
    `actions` are those of a report: of the recovery, or of the switchback.
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

    @property
    def moment(self) -> dt.datetime:
        """When it happened."""
        return dt.datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Incident:
    """One incident in its folder, with its events so far."""

    folder: Path
    events: tuple[Event, ...]

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
        try:
            with FileLock(path.with_suffix(".lock")), path.open("ab+") as file:
                file.seek(0)
                before = file.read().splitlines()
                if len(before) != len(self.events):
                    raise Refused(
                        f"{path}: changed by another writer in the meantime; see `opsverify dr status`, then repeat"
                    )
                previous = hashlib.sha256(before[-1]).hexdigest() if before else _GENESIS
                content = {"schema": SCHEMA, **vars(event), "previous": previous}
                file.write(_line({**content, _OWN: hashlib.sha256(_line(content)).hexdigest()}) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise EvidenceError(
                f"{path}: cannot be written ({error.strerror}); note it on paper, with the time"
            ) from error
        return Incident(self.folder, (*self.events, event))


def read(folder: Path) -> Incident:
    """The incident kept in `folder`. Raises EvidenceError when it cannot be read or was altered."""
    path = folder / NAME
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read ({error.strerror}); name an incident's id") from error
    events, previous = [], _GENESIS
    known = {field.name for field in fields(Event)}
    for number, line in enumerate(lines, 1):
        try:
            raw: dict[str, Any] = json.loads(line)
            own = raw.pop(_OWN, None)  # lines of older versions have no such sum
            if own is not None and own != hashlib.sha256(_line(raw)).hexdigest():
                raise EvidenceError(f"{path}, line {number}: altered after it was written")
            if raw.pop("previous") != previous:
                raise EvidenceError(f"{path}, line {number}: does not follow the line before; one of them was altered")
            values = {name: value for name, value in raw.items() if name in known}
            events.append(Event(**{**values, "actions": tuple(values.get("actions", ()))}))
        except (ValueError, KeyError, TypeError) as error:
            raise EvidenceError(f"{path}, line {number}: not an event of an incident: {error}") from error
        previous = hashlib.sha256(line).hexdigest()
    if not events:
        raise EvidenceError(f"{path}: no events")
    return Incident(folder, tuple(events))


def incidents(reports: Path, target: str | None = None) -> Iterator[Incident]:
    """Every incident (of `target`) in the reports folder, oldest first. Raises EvidenceError for a damaged one."""
    # Another target's damaged timeline is no reason to stop here: target names hold no capital letter.
    folders = "*" if target is None else f"*Z-{target}-????"
    for path in sorted((reports / INCIDENTS).glob(f"{folders}/{NAME}")):
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
        raise Refused(f"no incident was declared on {target}; run opsverify dr declare --target {target}")
    return current(known)


def current(known: Sequence[Incident]) -> Incident:
    """The open one of some incidents, oldest first, else the newest."""
    return next((incident for incident in known if not incident.closed), known[-1])


def begin(reports: Path, target: str, at: dt.datetime) -> Incident:
    """Make the folder of a new incident on `target`. Raises Refused while another one is open."""
    open_one = next((incident for incident in incidents(reports, target) if not incident.closed), None)
    if open_one is not None:
        raise Refused(f"incident {open_one.id} on {target} is open; mark its steps, or close it first")
    folder = reports / INCIDENTS / f"{at:%Y%m%dT%H%M%SZ}-{target}-{secrets.token_hex(2)}"
    with _writable(folder):
        folder.mkdir(parents=True)
    return Incident(folder, ())


def _line(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EvidenceError(f"{folder}: cannot be written ({error.strerror}); free or unlock the folder") from error
