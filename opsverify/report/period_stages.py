"""Stages of a period: which runs the runbook's calendar wants in it, which were made, and which are missed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.language.message import Message, as_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opsverify.report.period import Period
    from opsverify.report.period_runs import PeriodRun

QUARTER: Final = dt.timedelta(days=92)


@dataclass(frozen=True)
class Slot:
    """A stretch of time in which one run of a stage is wanted."""

    label: Message
    start: dt.datetime
    end: dt.datetime


@dataclass(frozen=True)
class StageRecord:
    """One stage: the slots that it has in a period, those without a run, and its runs in the period, oldest first."""

    stage: str
    slots: tuple[Slot, ...]
    missed: tuple[Slot, ...]
    runs: tuple[PeriodRun, ...]

    @property
    def newest(self) -> PeriodRun | None:
        """The run that decides about the stage: the newest one with a decision."""
        return next((run for run in reversed(self.runs) if run.decision is not None), None)

    def count(self, *decisions: str) -> int:
        """How many runs decided so."""
        return sum(run.decision in decisions for run in self.runs)


def slots_of(period: Period) -> dict[str, tuple[Slot, ...]]:
    """The slots of each stage that the runbook's section 1 and 5 repeat: daily, weekly and the rehearsal, monthly.

    The weeks of a month are those that end in it. A quarterly run counts for 92 days.
    """
    days = tuple(
        Slot(as_message(f"{day:%m-%d}"), period.midnight(day), period.midnight(day + dt.timedelta(days=1)))
        for day in period.days()
    )
    whole = (Slot(as_message(period.name), period.start, period.end),)
    if period.kind == "weekly":
        return {"daily": days, "weekly": whole, "rehearsal": whole}
    weeks = tuple(Slot(as_message(week.name), week.start, week.end) for week in period.weeks())
    quarter = (Slot(Message.of("the last 92 days", "지난 92일"), period.end - QUARTER, period.end),)
    return {"daily": days, "weekly": weeks, "rehearsal": weeks, "monthly": whole, "quarterly": quarter}


def records_of(
    period: Period, runs: Sequence[PeriodRun], left_out: Sequence[str] = (), first: dt.datetime | None = None
) -> Iterator[StageRecord]:
    """The stages that are wanted, then every other one that ran in the period; `left_out` are not wanted here.

    Nor is what ended before the `first` run of the target: a platform that is new has missed nothing. Where there is
    no run at all everything is missed.

    A run fills the slot in which it began, once it has a decision, whatever that is.
    """
    wanted = {stage: slots for stage, slots in slots_of(period).items() if stage not in left_out}
    others = dict.fromkeys(run.stage for run in runs if run.begun in period and run.stage not in wanted)
    for stage in (*wanted, *others):
        of_stage = [run for run in runs if run.stage == stage]
        slots = tuple(slot for slot in wanted.get(stage, ()) if first is None or slot.end > first)
        missed = tuple(
            slot
            for slot in slots
            if not any(slot.start <= run.begun < slot.end and run.decision is not None for run in of_stage)
        )
        yield StageRecord(stage, slots, missed, tuple(run for run in of_stage if run.begun in period))
