"""What the command line changes in a target for one run: points in time, and the share of an expansion's step."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Protocol

from opsverify.config.actions import share_of
from opsverify.config.model import Waiver
from opsverify.errors import TargetError
from opsverify.limits import Limit
from opsverify.units import quantity

if TYPE_CHECKING:
    from opsverify.config.model import Target

SHARE_TOLERANCE = 0.2
"""Of the share asked for: load balancers split by connection or by pod, never exactly."""
COMPARISON = "canary.llm_cost"
"""The canary check that needs traffic on the baseline."""
AFTERWARDS = "post-rollback"


class Asked(Protocol):
    """The parts of a request that change a target."""

    @property
    def stage(self) -> str:
        """The stage."""

    @property
    def recovery_target(self) -> str | None:
        """Value of `--recovery-target`."""

    @property
    def rolled_back_at(self) -> str | None:
        """Value of `--rolled-back-at`."""

    @property
    def switched_at(self) -> str | None:
        """Value of `--switched-at`."""

    @property
    def share(self) -> str | None:
        """Value of `--share`."""


def adapted(target: Target, asked: Asked) -> Target:
    """`target` as this run sees it. Raises TargetError for what cannot be read."""
    if asked.recovery_target is not None and target.recovery is not None:
        moment = moment_in("--recovery-target", asked.recovery_target)
        recovery = target.recovery.model_copy(update={"recovery_target": moment})
        target = target.model_copy(update={"recovery": recovery})
    if asked.rolled_back_at is not None:
        moment = moment_in("--rolled-back-at", asked.rolled_back_at)
        actions = target.actions.model_copy(update={"rolled_back_at": moment})
        target = target.model_copy(update={"actions": actions})
    if asked.switched_at is not None and target.regions is not None:
        moment = moment_in("--switched-at", asked.switched_at)
        target = target.model_copy(update={"regions": target.regions.model_copy(update={"switched_at": moment})})
    if asked.share is not None:
        target = _at_share(target, asked.share)
    return _rolled_back(target) if asked.stage == AFTERWARDS else target


def _rolled_back(target: Target) -> Target:
    """After a rollback, services answer as the version before."""
    services = {
        name: service.model_copy(update={"version": service.previous_version or service.version})
        for name, service in target.services.items()
    }
    return target.model_copy(update={"services": services})


def _at_share(target: Target, text: str) -> Target:
    """Expect the canary to receive `text` of the traffic, give or take a fifth."""
    try:
        share = share_of(text)
    except ValueError as error:
        raise TargetError(f"--share: {error}") from error
    around = Limit("..", share * (1 - SHARE_TOLERANCE), "ratio", min(1.0, share * (1 + SHARE_TOLERANCE)))
    limits = target.limits.model_copy(update={"traffic_share": around})
    waivers = target.waivers
    if share >= 1:
        reason = f"at {quantity(share, 'ratio')} no baseline is left to compare with: the step before compared"
        owner = target.owner_of(COMPARISON)
        waivers = (
            *waivers,
            Waiver(check=COMPARISON, owner=owner, reason=reason, until=dt.datetime.now(dt.UTC).date()),
        )
    return target.model_copy(update={"limits": limits, "waivers": waivers})


def moment_in(option: str, text: str) -> dt.datetime:
    """Read the time given with `option`. Raises TargetError, with the expected form, for anything else."""
    example = "2026-11-22T20:00:00+09:00"
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise TargetError(f"{option} {text}: expected a time such as {example}") from error
    if moment.tzinfo is None:
        raise TargetError(f"{option} {text}: has no time zone; expected such as {example}")
    return moment
