"""Rehearsals of a recovery as their sealed evidence shows them: the newest one, and the newest that covered a line."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.runbook import lines
from opsverify.core.stages import Outcome
from opsverify.errors import EvidenceError, Inconclusive
from opsverify.evidence.finished import FinishedRun, recorded_runs
from opsverify.evidence.signature import VERDICT
from opsverify.evidence.trusted_keys import TrustedKey, verify_by
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.evidence.target_state import TargetState
    from opsverify.language.message import Message
    from opsverify.limits import Limit

STAGES: Final = ("rehearsal", "post-dr")
"""Stages that prove a recovery: a rehearsed one, and one that was needed."""


@dataclass(frozen=True)
class Rehearsal:
    """One finished run with what is wrong with its evidence; `verdict` is what was verified, empty where unreadable."""

    run: FinishedRun
    problems: tuple[str, ...]
    verdict: Mapping[str, Any]
    signed_by: str | None
    at: dt.datetime

    @property
    def age_s(self) -> float | None:
        """Seconds since it ended; None where its verdict cannot be read."""
        ended = _time(self.verdict.get("finished_at"))
        return None if ended is None else (self.at - ended).total_seconds()

    @property
    def name(self) -> Message:
        """The run, and who signed it."""
        if self.signed_by is None:
            return say("{run}, not signed", run=self.run.run_id)
        return say("{run}, signed by key {key}...", run=self.run.run_id, key=self.signed_by[:8])

    def of_line(self, line: str) -> dict[str, str]:
        """Outcome by check of those that carry out a line."""
        return {entry["id"]: entry["outcome"] for entry in self._entries if line in entry.get("lines", ())}

    def measured(self, check: str) -> tuple[tuple[str, float], ...]:
        """What a check measured in seconds: name and value."""
        return tuple(
            (each["name"], each["measured"])
            for entry in self._entries
            if entry["id"] == check
            for each in entry.get("measurements", ())
            if each["unit"] == "s"
        )

    @property
    def _entries(self) -> Sequence[Mapping[str, Any]]:
        entries: Sequence[Mapping[str, Any]] = self.verdict.get("checks", ())
        return entries


@dataclass
class Rehearsals:
    """The finished rehearsals of a target, verified by the keys that the target trusts."""

    state: TargetState
    keys: Sequence[TrustedKey]
    target: str
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    _verified: dict[str, Rehearsal] = field(default_factory=dict)

    def newest(self) -> Rehearsal:
        """The one that ended last. Raises Inconclusive where there is none."""
        return self._verify(self._runs()[0])

    def of_line(self, line: str) -> Rehearsal:
        """The newest one that carried out a line, or whose evidence does not say what it carried out.

        Raises Inconclusive where there is none.
        """
        runs = self._runs()
        for run in runs:
            found = self._verify(run)
            if found.problems or found.of_line(line):
                return found
        raise Inconclusive(
            say(
                "no check of line {line} in the {count} finished rehearsals of {target}; "
                "run opsverify rehearse --target {target}",
                line=line,
                count=len(runs),
                target=self.target,
            )
        )

    def uncovered(self, limit: Limit) -> tuple[str, ...]:
        """Lines of a rehearsal that none within the age `limit` carried out. Raises Inconclusive without any."""
        wanted = [line.id for line in lines().values() if STAGES[0] in line.stages and not line.out_of_scope]
        for run in self._runs():
            if not wanted:  # older evidence is not needed, and may be elsewhere
                break
            found = self._verify(run)
            if found.problems or found.age_s is None:
                continue
            if not limit.holds(found.age_s):
                break
            wanted = [line for line in wanted if not found.of_line(line)]
        return tuple(wanted)

    def _runs(self) -> list[FinishedRun]:
        try:
            found = [run for run in recorded_runs(self.state) if run.stage in STAGES]
        except EvidenceError as error:
            raise Inconclusive(say("finished rehearsals: {error}", error=error)) from error
        if not found:
            raise Inconclusive(
                say(
                    "no finished rehearsal of {target} in {runs}; run opsverify rehearse --target {target}, "
                    "and keep the reports folder",
                    target=self.target,
                    runs=self.state.runs,
                )
            )
        return found

    def _verify(self, run: FinishedRun) -> Rehearsal:
        if run.run_id not in self._verified:
            self._verified[run.run_id] = self._read(run)
        return self._verified[run.run_id]

    def _read(self, run: FinishedRun) -> Rehearsal:
        if not run.folder.is_dir():
            raise Inconclusive(
                say(
                    "{run}: its evidence is not in {folder}; put it back, or run opsverify rehearse --target {target}",
                    run=run.run_id,
                    folder=run.folder,
                    target=self.target,
                )
            )
        try:
            found = verify_by(run.folder, self.keys, self.now)
        except EvidenceError as error:
            raise Inconclusive(say("{run}: {error}", run=run.run_id, error=error)) from error
        problems = [str(problem) for problem in found.problems]
        if found.verdict is None or hashlib.sha256(found.verdict).hexdigest() != run.verdict_sha256:
            problems.append(say("{file}: not the one that was sealed at the end of the run", file=VERDICT))
        verdict = _parsed(found.verdict)
        ended = _time(verdict.get("finished_at"))
        if ended is None or ended > self.now:
            problems.append(say("{file}: no time of its end, or one in the future", file=VERDICT))
        return Rehearsal(run, tuple(problems), verdict, found.signed_by, self.now)


def not_passed(outcomes: Mapping[str, str]) -> list[str]:
    """The checks among `outcomes` that prove nothing, with their outcome; what does not apply is none of them."""
    fine = (Outcome.PASS.value, Outcome.NOT_APPLICABLE.value)
    return [f"{check} {outcome}" for check, outcome in outcomes.items() if outcome not in fine]


def _parsed(content: bytes | None) -> dict[str, Any]:
    try:
        verdict = json.loads(content or b"")
    except ValueError:
        return {}
    return verdict if isinstance(verdict, dict) else {}


def _time(text: object) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
