"""Previous verdict of a fleet, in the same folder or beside it: since when a target is red. It decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from opsverify.errors import EvidenceError
from opsverify.evidence.once_read import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opsverify.fleet.plan import FleetPlan

FLEET_VERDICT: Final = "fleet-verdict.json"
EARLIER: Final = "fleet-verdict.earlier.json"
"""A verdict whose folder is merged anew, and after a merge that was killed."""
SCHEMA: Final = "opsverify.fleet-verdict/1"
_DAMAGED: Final = (OSError, EvidenceError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class PreviousFleet:
    """What is kept of an earlier verdict: which fleet it was, and since when each of its red targets was red.

    `named` is how the next verdict names it, `before` how it names the one before it.
    """

    fleet: str
    stage: str
    created_at: str
    red: Mapping[str, str]
    named: Mapping[str, str] | None
    before: Mapping[str, str] | None

    def red_since(self, target: str) -> str | None:
        """The time of the first fleet in a row in which the target was red; None where it was not."""
        return self.red.get(target)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read a verdict; None where there is none that can be read."""
        try:
            found: dict[str, Any] = read_json(path)
            if found["schema"] != SCHEMA:
                return None
            red = {str(unit["target"]): str(unit["red_since"]) for unit in found["units"] if unit["red_since"]}
            before = found["previous"]
            named = {key: str(found[key]) for key in ("fleet", "created_at")}
            earlier = {key: str(before[key]) for key in named} if before else None
            return cls(named["fleet"], str(found["stage"]), named["created_at"], red, named, earlier)
        except _DAMAGED:
            return None


def previous_of(plan: FleetPlan, folder: Path) -> PreviousFleet | None:
    """The verdict before that of `plan`: in `folder`, or in the newest of the folders beside it.

    Where only a verdict of this very fleet is left, its own memory of the one before: merging twice changes nothing.
    """
    own = PreviousFleet.load(folder / EARLIER)
    older = [found for found in (own, _beside(plan, folder)) if found and _before(found, plan)]
    if older:
        return max(older, key=lambda found: (found.created_at, found.fleet))
    if own is not None and own.fleet == plan.fleet:
        return replace(own, named=own.before)
    return None


def _beside(plan: FleetPlan, folder: Path) -> PreviousFleet | None:
    """That of the newest older fleet whose folder lies beside `folder`: their names begin with their times."""
    places = sorted(folder.resolve().parent.glob(f"*-{plan.stage.name}-*/{FLEET_VERDICT}"), reverse=True)
    return next((found for path in places if (found := PreviousFleet.load(path)) and _before(found, plan)), None)


def _before(found: PreviousFleet, plan: FleetPlan) -> bool:
    return found.stage == plan.stage.name and (found.created_at, found.fleet) < (plan.created_at, plan.fleet)
