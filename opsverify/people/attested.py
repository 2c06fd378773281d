"""Attested lines: the result of a runbook line that a person signs for, in place of a check."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.core.results import CheckResult
from opsverify.core.stages import Outcome
from opsverify.errors import EvidenceError
from opsverify.evidence.once_read import read_once
from opsverify.language.message import say
from opsverify.people.log import FAILED, FOLDER, Head, Log, SignedEntry, path_of, read
from opsverify.people.signing import verified
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opsverify.config.people import Person
    from opsverify.core.runbook import Line
    from opsverify.language.message import Message

VALID: Final[Mapping[str, dt.timedelta]] = {
    "daily": dt.timedelta(days=1),
    "weekly": dt.timedelta(days=7),
    "monthly": dt.timedelta(days=31),
    "quarterly": dt.timedelta(days=92),
}
"""How long an observation counts, by stage (runbook 1)."""
VALID_ELSEWHERE: Final = dt.timedelta(hours=4)
"""For releases, incidents and recoveries: what was seen during this one, not before the last one."""
_SLACK: Final = dt.timedelta(minutes=1)


def wording_of(line: Line) -> str:
    """The SHA-256 of what a person is shown: id and both texts."""
    return hashlib.sha256(f"{line.id}\n{line.ko}\n{line.en}".encode()).hexdigest()


def validity(stage: str) -> dt.timedelta:
    """How long an observation counts in `stage`."""
    return VALID.get(stage, VALID_ELSEWHERE)


class Attestations:
    """The log of a target as one stage reads it, at one moment."""

    def __init__(self, reports: Path, target: str, people: Mapping[str, Person], stage: str, now: dt.datetime) -> None:
        self._target, self._people, self._stage, self._now = target, people, stage, now
        self._broken: Message | None = None
        self._log = Log()
        try:
            self._log = read(path_of(reports, target))
        except EvidenceError as error:
            self._broken = say("attestations: {error}", error=error)
        self._reports = reports

    @cached_property
    def _fault(self) -> Message | None:
        """Why no entry counts: looked for once, and only by a stage that has lines to be signed for."""
        if self._broken is None and any(map(self._log.truncated_since, _heads_seen(self._reports, self._target))):
            return say(
                "attestations: truncated: an earlier run has seen entries that {path} no longer holds; restore it",
                path=Path(self._reports.name) / FOLDER / path_of(self._reports, self._target).name,
            )
        return self._broken

    @property
    def head(self) -> Head:
        """The newest entry, for the verdict."""
        return self._log.head

    def result(self, check_id: str, line: Line) -> CheckResult:
        """Pass, fail or inconclusive, with who signed what and when."""
        if self._fault:
            return CheckResult(check_id, Outcome.FAIL, self._fault)
        entry = self._log.newest(line.id)
        if entry is None:
            return CheckResult(check_id, Outcome.INCONCLUSIVE, self._ask(line))
        if problem := self._problem(entry, line):
            return CheckResult(
                check_id, Outcome.INCONCLUSIVE, say("{problem}; {ask}", problem=problem, ask=self._ask(line))
            )
        if entry.result == FAILED:
            message = say("attested as failed by {who}: {note}", who=self._who(entry), note=entry.note)
            return CheckResult(check_id, Outcome.FAIL, message, entry.signed_at)
        return CheckResult(check_id, Outcome.PASS, say("attested by {who}", who=self._who(entry)), entry.signed_at)

    def _ask(self, line: Line) -> Message:
        return say(
            "no check carries out this runbook line{detail}; do it by hand, then sign for it; the commands: "
            "opsverify attest --list {stage} --target {target}",
            detail=f" ({line.id})",
            stage=self._stage,
            target=self._target,
        )

    def _who(self, entry: SignedEntry) -> Message:
        signed = say("signed") if entry.signature else say("unsigned")
        return say(
            "{by} ({role}), observed {at}, {signed}", by=entry.by, role=entry.role, at=entry.observed_at, signed=signed
        )

    def _problem(self, entry: SignedEntry, line: Line) -> Message | None:
        """Why the entry does not count here; None where it does."""
        if entry.target != self._target:
            return say("attested by {by} for target {target}, not this one", by=entry.by, target=entry.target)
        if entry.wording != wording_of(line):
            return say("attested in another wording of the line, by {by}", by=entry.by)
        if entry.observed > self._now + _SLACK:
            return say("attested by {by} for {at}, in the future", by=entry.by, at=entry.observed_at)
        limit = validity(self._stage)
        age = self._now - entry.observed
        if age > limit or (entry.until and self._now > entry.until):
            return say(
                "attestation expired: observed {age} ago by {by}, limit <= {limit}",
                age=duration(age.total_seconds()),
                by=entry.by,
                limit=duration(limit.total_seconds()),
            )
        return self._problem_of_person(entry)

    def _problem_of_person(self, entry: SignedEntry) -> Message | None:
        person = self._people.get(entry.by)
        if self._people and person is None:
            return say("attested by {by}, whom [people] does not list", by=entry.by)
        if person and person.roles and entry.role not in person.roles:
            return say("attested by {by} as {role}, which [people] does not give them", by=entry.by, role=entry.role)
        try:
            key = person.public_key if person else None
            unproven = key is not None and not verified(entry, Path(key))
        except EvidenceError as error:
            return say("attested by {by}, whose signature cannot be verified: {error}", by=entry.by, error=error)
        if unproven:
            return say("attested by {by}, without a valid signature of their key", by=entry.by)
        return None


def _heads_seen(reports: Path, target: str) -> Iterator[Head]:
    """The heads that the verdicts of earlier runs of the target keep."""
    for path in reports.glob("*/verdict.json"):
        try:
            verdict = json.loads(read_once(path))
            seen = verdict.get("attestations") if verdict.get("target") == target else None
            if seen:
                yield Head(int(seen["seq"]), str(seen["sha256"]))
        except (EvidenceError, OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
