"""Merge of a fleet: from a plan and what was delivered to one verdict, whatever order it was delivered in.

One rejected unit rejects the fleet, as one failed check fails a run. Else anything missing, doubled, altered, foreign
or of another plan holds it, by name. Only when every unit of the plan was delivered once and is green, the fleet is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.exit_codes import EXIT
from opsverify.core.stages import Decision, Outcome
from opsverify.core.verdict import outcome_of
from opsverify.fleet.delivery import DeliveryState, UnitDelivery
from opsverify.fleet.previous import SCHEMA
from opsverify.language.message import Message, as_message, join, pair, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.fleet.plan import FleetPlan, FleetUnit
    from opsverify.fleet.previous import PreviousFleet

OUTCOMES: Final = {
    Decision.PROMOTE: Outcome.PASS,
    Decision.ACCEPT: Outcome.PASS,
    Decision.ROLLBACK: Outcome.FAIL,
    Decision.REJECT: Outcome.FAIL,
    Decision.HOLD: Outcome.INCONCLUSIVE,
}
"""What a unit's decision means for the fleet."""
_MOST_RUNS: Final = 3
"""Runs of a unit that was delivered more than once that are named."""
STATES: Final = {
    DeliveryState.DELIVERED: say("delivered"),
    DeliveryState.MISSING: say("missing"),
    DeliveryState.DOUBLED: say("delivered twice"),
    DeliveryState.ALTERED: say("altered"),
    DeliveryState.UNVERIFIED: say("not verified"),
    DeliveryState.FOREIGN: say("not in the plan"),
    DeliveryState.OTHER_PLAN: say("of another plan"),
    DeliveryState.NO_VERDICT: say("without a verdict"),
}


@dataclass
class _Slot:
    """What was delivered of one unit: the first in a fixed order, and the runs where they differ."""

    first: UnitDelivery
    runs: tuple[tuple[str, str, str], ...]

    def add(self, delivery: UnitDelivery) -> None:
        self.first = min(self.first, delivery, key=_order)
        self.runs = tuple(sorted({*self.runs, *_run(delivery)}))[:_MOST_RUNS]


@dataclass(frozen=True)
class MergedUnit:
    """One unit of the verdict."""

    unit: FleetUnit
    state: DeliveryState
    decision: Decision
    message: Message
    delivery: UnitDelivery | None = None

    @property
    def green(self) -> bool:
        """Whether it was delivered once, and accepted or promoted."""
        return OUTCOMES[self.decision] is Outcome.PASS


@dataclass(frozen=True)
class RefusedFolder:
    """One folder that counts for nothing; `target` where it is of one of the plan, or says so."""

    state: DeliveryState
    target: str | None
    folder: str
    message: Message


@dataclass
class FleetMerge:
    """The state of a merge: one line for each unit, and one for each folder that counts for none."""

    plan: FleetPlan
    _slots: dict[int, _Slot] = field(default_factory=dict)
    _refused: set[tuple[int, str, str, str, str]] = field(default_factory=set)

    def add(self, delivery: UnitDelivery) -> None:
        """Take one delivery in."""
        if delivery.state is DeliveryState.DELIVERED and delivery.unit is not None:
            slot = self._slots.setdefault(delivery.unit, _Slot(delivery, ()))
            slot.add(delivery)
            return
        unit = -1 if delivery.unit is None else delivery.unit
        self._refused.add((unit, delivery.state, delivery.folder, delivery.message.en, delivery.message.ko))

    @property
    def units(self) -> Iterator[MergedUnit]:
        """Every unit of the plan, in its order."""
        refused: dict[int, tuple[DeliveryState, Message]] = {}
        for number, state, folder, english, korean in sorted(self._refused):
            known = DeliveryState.MISSING if state == DeliveryState.NO_VERDICT else DeliveryState(state)
            refused.setdefault(number, (known, _in_folder(folder, Message.of(english, korean))))
        return (self._merged(unit, refused.get(unit.unit)) for unit in self.plan.units)

    def _merged(self, unit: FleetUnit, refused: tuple[DeliveryState, Message] | None) -> MergedUnit:
        slot = self._slots.get(unit.unit)
        if slot is None:
            state, why = refused or (DeliveryState.MISSING, say("no run of this unit was delivered"))
            return MergedUnit(unit, state, Decision.HOLD, why)
        if len(slot.runs) > 1:
            runs = ", ".join(f"{run_id} ({decision})" for run_id, decision, _ in slot.runs)
            why = say("more than one run was delivered: {runs}; a unit is never repeated", runs=runs)
            return MergedUnit(unit, DeliveryState.DOUBLED, Decision.HOLD, why)
        return MergedUnit(unit, DeliveryState.DELIVERED, slot.first.decision, slot.first.message, slot.first)

    @property
    def refused(self) -> Iterator[RefusedFolder]:
        """The folders that count for nothing."""
        for number, state, folder, english, korean in sorted(self._refused):
            target = None if number < 0 else self.plan.units[number].target
            yield RefusedFolder(DeliveryState(state), target, folder, Message.of(english, korean))

    def verdict(self, previous: PreviousFleet | None = None) -> dict[str, Any]:
        """The content of `fleet-verdict.json`: the same for the same deliveries, in whatever order."""
        units, refused = [*self.units], [*self.refused]
        doubled = any(unit.state is DeliveryState.DOUBLED for unit in units)
        outcome = outcome_of({OUTCOMES[unit.decision] for unit in units}, incomplete=bool(refused) or doubled)
        decision = self.plan.stage.decide(outcome)
        reasons = [*_reasons(units, refused)]
        return {
            "schema": SCHEMA,
            "fleet": self.plan.fleet,
            "stage": self.plan.stage.name,
            "plan_sha256": self.plan.sha256,
            "opsverify": self.plan.opsverify,
            "created_at": self.plan.created_at,
            "outcome": outcome.value,
            "decision": decision.value,
            "exit_code": int(EXIT[decision]),
            "reasons": [reason.en for reason in reasons],
            "reasons_ko": [reason.ko for reason in reasons],
            "planned": len(units),
            "delivered": sum(unit.state is DeliveryState.DELIVERED for unit in units),
            "decisions": dict(sorted(Counter(unit.decision.value for unit in units).items())),
            "previous": dict(previous.named) if previous and previous.named else None,
            "units": [_entry(unit, previous, self.plan.created_at) for unit in units],
            "refused": [
                {"state": one.state.value, "target": one.target, "folder": one.folder, **pair("message", one.message)}
                for one in refused
            ],
        }


def _reasons(units: list[MergedUnit], refused: list[RefusedFolder]) -> Iterator[Message]:
    """What keeps the fleet from passing: rejected units, then units that hold, then folders of none."""
    red = [unit for unit in units if not unit.green]
    for unit in sorted(red, key=lambda unit: OUTCOMES[unit.decision] is not Outcome.FAIL):
        word = as_message(unit.decision.value) if unit.state is DeliveryState.DELIVERED else STATES[unit.state]
        yield say("{target}: {state}: {why}", target=unit.unit.target, state=word, why=unit.message)
    named = {(unit.unit.target, unit.message.en) for unit in red}
    for one in refused:
        why = _in_folder(one.folder, one.message)
        if (one.target, why.en) not in named:
            yield say("{target}: {state}: {why}", target=one.target or one.folder, state=STATES[one.state], why=why)


def _entry(unit: MergedUnit, previous: PreviousFleet | None, created_at: str) -> dict[str, Any]:
    delivery = unit.delivery
    since = None
    if not unit.green:
        since = (previous.red_since(unit.unit.target) if previous else None) or created_at
    return {
        "unit": unit.unit.unit,
        "target": unit.unit.target,
        "state": unit.state.value,
        "decision": unit.decision.value,
        **pair("message", unit.message),
        "red_since": since,
        "run_id": delivery.run_id if delivery else None,
        "finished_at": delivery.finished_at if delivery else None,
        "verdict_sha256": delivery.verdict_sha256 if delivery else None,
        "signed_by": (delivery.signed_by or None) if delivery else None,
        "waived": delivery.waived if delivery else 0,
    }


def _in_folder(folder: str, why: Message) -> Message:
    return join("", (why, say(" (folder {folder})", folder=folder)))


def _order(delivery: UnitDelivery) -> tuple[str, str, str]:
    return delivery.verdict_sha256, delivery.folder, delivery.signed_by


def _run(delivery: UnitDelivery) -> set[tuple[str, str, str]]:
    return {(delivery.run_id, delivery.decision.value, delivery.verdict_sha256)}
