"""Review of a period: everything that somebody has to look at, by owner; nothing of it means "all good"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.core.runbook import lines
from opsverify.language.message import Message, as_message, join, say
from opsverify.people.attested import validity
from opsverify.people.log import path_of, read
from opsverify.report.dates import date_time
from opsverify.report.period_checks import (
    CheckChange,
    CheckState,
    FlakyCheck,
    SlowCheck,
    changes,
    flaky_checks,
    slow_checks,
    states_at,
)
from opsverify.report.period_runs import first_begun, runs_of
from opsverify.report.period_stages import QUARTER, StageRecord, records_of, slots_of
from opsverify.units import listed, quantity

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.waivers import Waiver
    from opsverify.evidence.target_state import TargetState
    from opsverify.report.period import Period
    from opsverify.report.period_runs import PeriodRun

_NAMED: Final = 4


@dataclass(frozen=True)
class Concern:
    """One thing to look at, and whose it is; `kind` is `fail`, or `inconclusive` where nothing has failed yet."""

    owner: str
    text: Message
    kind: str = "fail"


@dataclass(frozen=True)
class RunOut:
    """What counts until a moment: an attestation of a runbook line in a stage, and whether it counts no more."""

    item: str
    stage: str
    by: str
    until: dt.datetime
    ended: bool


@dataclass(frozen=True)
class PeriodReview:
    """What the runs of a target say about a period; `runs` are those begun in it, `earlier` those of the one before."""

    period: Period
    target: Target
    stages: tuple[StageRecord, ...]
    runs: tuple[PeriodRun, ...]
    earlier: tuple[PeriodRun, ...]
    known: tuple[PeriodRun, ...]
    now: dt.datetime
    first: dt.datetime | None = None
    """When the target's first run began, as far as its state says."""

    @classmethod
    def of(cls, state: TargetState, target: Target, period: Period, now: dt.datetime) -> PeriodReview:
        """The review of what `state` recorded. Raises EvidenceError where that is damaged."""
        known = runs_of(state, period.before.start - QUARTER)
        left_out = [] if target.has("recovery") else ["rehearsal"]
        first = first_begun(state)
        return cls(
            period,
            target,
            tuple(records_of(period, known, left_out, first)),
            tuple(run for run in known if run.begun in period),
            tuple(run for run in known if run.begun in period.before),
            tuple(run for run in known if run.begun < period.end),
            now,
            first,
        )

    @property
    def changes(self) -> tuple[CheckChange, ...]:
        """The checks whose newest result is another one than at the end of the period before."""
        now = states_at(self.known, self.period.end)
        return tuple(changes(states_at(self.known, self.period.start), now))

    @property
    def still_red(self) -> tuple[CheckState, ...]:
        """The checks that were as red at the end of the period before."""
        before, now = states_at(self.known, self.period.start), states_at(self.known, self.period.end)
        return tuple(
            state for key, state in now.items() if state.red and key in before and before[key].outcome == state.outcome
        )

    @property
    def slow(self) -> list[SlowCheck]:
        """The checks that became slow, and the slowest ones."""
        return slow_checks(self.runs, self.earlier)

    @property
    def flaky(self) -> list[FlakyCheck]:
        """The checks that change again and again."""
        return flaky_checks(self.runs)

    @property
    def waivers(self) -> list[Waiver]:
        """The waivers that end before the end of the period to come, those that have ended too."""
        soon = [waiver for waiver in self.target.waivers if waiver.until < self.period.following.beyond]
        return sorted(soon, key=lambda waiver: (waiver.until, waiver.check))

    def attestations(self, reports: Path) -> list[RunOut]:
        """The newest entry of each line in each of its stages. Raises EvidenceError for a damaged log."""
        log = read(path_of(reports, self.target.name))
        found = []
        for line in lines().values():
            entry = log.newest(line.id)
            if entry is None:
                continue
            for stage in line.stages:
                until = min(filter(None, (entry.observed + validity(stage), entry.until)))
                found.append(RunOut(line.id, stage, entry.by, until, until < self.now))
        return sorted(found, key=lambda one: (one.until, one.item, one.stage))

    def concerns(self) -> Iterator[Concern]:
        """Everything to look at but attestations, which are kept elsewhere."""
        slots = (slot for of_stage in slots_of(self.period).values() for slot in of_stage)
        if self.first and any(slot.end <= self.first for slot in slots):
            text = say("the first run of {target} on record began at {at}: what ended before was not wanted",
                       target=self.target.name, at=date_time(self.first.isoformat()))  # fmt: skip
            yield Concern(self._owner, text, "inconclusive")
        for record in self.stages:
            yield from self._missed(record)
            yield from self._newest(record)
        for run in self.runs:
            if run.problem:
                yield Concern(self._owner, say("{run}: {problem}", run=run.run_id, problem=run.problem))
        for one in self.flaky:
            text = say("{stage} {check}: changed {flips} times between pass and red in {runs} runs", stage=one.stage,
                       check=one.id, flips=one.flips, runs=one.runs)  # fmt: skip
            yield Concern(one.owner, text, "inconclusive")
        for slow in (slow for slow in self.slow if slow.slower):
            text = say("{stage} {check}: takes {now}, {before} in the period before", stage=slow.stage, check=slow.id,
                       now=quantity(slow.seconds, "s"), before=quantity(slow.before_s or 0.0, "s"))  # fmt: skip
            yield Concern(slow.owner, text, "inconclusive")
        for waiver in self.waivers:
            ended = waiver.until < self.period.day_of(self.now)
            form = say("ended on {until}", until=waiver.until) if ended else say("ends on {until}", until=waiver.until)
            text = say("waiver of {check}: {form}", check=waiver.check, form=form)
            yield Concern(waiver.owner, text, "fail" if ended else "inconclusive")

    @property
    def _owner(self) -> str:
        return self.target.owners.default

    def _missed(self, record: StageRecord) -> Iterator[Concern]:
        if record.missed:
            names = join(", ", (slot.label for slot in record.missed))
            text = say("{stage}: {missed} of {slots} runs missed: {names}", stage=record.stage,
                       missed=len(record.missed), slots=len(record.slots), names=names)  # fmt: skip
            yield Concern(self._owner, text)

    def _newest(self, record: StageRecord) -> Iterator[Concern]:
        """The red checks of a stage whose newest run in the period is not well, by owner."""
        run = record.newest
        if run is None or run.well or run.problem:
            return
        owners: dict[str, list[str]] = {}
        for check in run.red:
            owners.setdefault(check["owner"], []).append(check["id"])
        kind = "inconclusive" if run.decision == "hold" else "fail"
        what = say("newest {stage} decided {decision}", stage=record.stage, decision=as_message(run.decision or "-"))
        for owner, ids in (owners or {self._owner: []}).items():
            yield Concern(owner, as_message(listed(what, ids, most=_NAMED)), kind)
