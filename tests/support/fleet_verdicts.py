"""Verdicts of fleets with something in every part of the page, as long as real ones are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opsverify.core.stages import Decision
from opsverify.fleet.delivery import DeliveryState, UnitDelivery
from opsverify.fleet.merge import FleetMerge
from opsverify.fleet.plan import FleetPlan, FleetUnit
from opsverify.fleet.previous import PreviousFleet
from opsverify.language.message import Message, as_message

if TYPE_CHECKING:
    from collections.abc import Mapping

REASON: Final = Message.of(
    "health.service[judgment]: GET https://judgment.plant-0007.example.com/health: no answer (timed out)",
    "health.service[judgment]: GET https://judgment.plant-0007.example.com/health: 응답 없음(시간 초과)",
)


def plan_of(count: int, created_at: str = "2026-11-28T06:00:00.000Z") -> FleetPlan:
    """A plan of `count` targets."""
    units = tuple(FleetUnit(number, f"plant-{number:04}", "f", "0", "0") for number in range(count))
    return FleetPlan("20261128T060000Z-daily-7f3a", "daily", created_at, "0.1.0", "r", "s", (), units, "9f" * 32)


def delivered(number: int, decision: Decision = Decision.ACCEPT, message: str = "", run: str = "a") -> UnitDelivery:
    """What was delivered of a unit."""
    run_id = f"20261128T060100Z-daily-{number:03}{run}"
    return UnitDelivery(
        DeliveryState.DELIVERED, f"plant-{number:04}", number, as_message(message), decision, run_id,
        "2026-11-28T06:02:03.000Z", run_id,
    )  # fmt: skip


def verdict_of(plan: FleetPlan, *deliveries: UnitDelivery, red: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The verdict over deliveries; `red`: since when targets were red in the fleet before."""
    merge = FleetMerge(plan)
    for delivery in deliveries:
        merge.add(delivery)
    named = {"fleet": "20261127T060000Z-daily-0a1b", "created_at": "2026-11-27T06:00:00.000Z"}
    return merge.verdict(PreviousFleet(named["fleet"], "daily", named["created_at"], red or {}, named, None))


def a_red_fleet() -> dict[str, Any]:
    """Twelve targets: one rejected for days, one that holds, missing, delivered twice, altered, and a foreign one."""
    deliveries = [delivered(number) for number in range(5)]
    deliveries += [delivered(7, Decision.REJECT, REASON), delivered(8, Decision.HOLD, REASON)]
    deliveries += [delivered(9, run=run) for run in "ab"]
    why = as_message("plan.json: altered: SHA-256 is 4d97f9240e1d..., in the manifest 9933442e8839...")
    deliveries += [UnitDelivery(DeliveryState.ALTERED, "plant-0010-copy-of-last-night", 10, why)]
    deliveries += [
        UnitDelivery(DeliveryState.FOREIGN, "line-77", None, as_message("target 'line-77' is not in the plan"))
    ]
    return verdict_of(plan_of(12), *deliveries, red={"plant-0007": "2026-11-26T06:00:00.000Z"})
