"""Overrides: what one option of a run changes in a target (points in time, the share of a rollout's step)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from opsverify.config.actions import share_of
from opsverify.config.model import Target
from opsverify.config.waivers import Waiver
from opsverify.errors import TargetError
from opsverify.language.message import LANGUAGES, say
from opsverify.limits import Limit
from opsverify.units import quantity

SHARE_TOLERANCE = 0.2
"""Of the expected share: load balancers split by connection or by pod, never exactly."""
COMPARISON = "canary.llm_cost"
"""The canary check that needs traffic on the baseline."""
AFTER_ROLLBACK = "post-rollback"
INCIDENT = "incident-"
"""What the stages of incidents begin with."""

Override = Callable[[Target, str, str], Target]
"""The target, an option's flag and its value -> the changed target; raises TargetError, naming the flag."""


def recovered_to(target: Target, flag: str, text: str) -> Target:
    """The database was recovered to the point in time `text`."""
    moment = moment_in(flag, text)
    if target.recovery is None:
        return target
    recovery = target.recovery.model_copy(update={"recovery_target": moment})
    return target.model_copy(update={"recovery": recovery})


def rolled_back_at(target: Target, flag: str, text: str) -> Target:
    """The rollback began at `text`."""
    actions = target.actions.model_copy(update={"rolled_back_at": moment_in(flag, text)})
    return target.model_copy(update={"actions": actions})


def incident_since(target: Target, flag: str, text: str) -> Target:
    """The incident began at `text`."""
    moment = moment_in(flag, text)
    if moment > dt.datetime.now(dt.UTC):
        raise TargetError(say("{flag} {text}: is in the future", flag=flag, text=text))
    return target.model_copy(update={"playbook": target.playbook.model_copy(update={"since": moment})})


def without_degraded(target: Target) -> Target:
    """Outside an incident a service must be healthy: degraded is not enough."""
    services = {
        name: service.model_copy(update={"degraded": ()}) if service.degraded else service
        for name, service in target.services.items()
    }
    return target.model_copy(update={"services": services})


def in_language(target: Target, flag: str, text: str) -> Target:
    """Terminal, reasons and pages are in the language `text`."""
    if text not in LANGUAGES:
        raise TargetError(
            say(
                "{flag} {text}: no such language; expected {languages}",
                flag=flag,
                text=text,
                languages=" or ".join(LANGUAGES),
            )
        )
    return target.model_copy(update={"language": text})


def switched_at(target: Target, flag: str, text: str) -> Target:
    """Traffic was given to the other region at `text`."""
    moment = moment_in(flag, text)
    if target.regions is None:
        return target
    regions = target.regions.model_copy(update={"switched_at": moment})
    return target.model_copy(update={"regions": regions})


def at_share(target: Target, flag: str, text: str) -> Target:
    """Expect the canary to receive `text` of the traffic, within 20 %."""
    try:
        share = share_of(text)
    except ValueError as error:
        raise TargetError(say("{flag}: {error}", flag=flag, error=error)) from error
    around = Limit("..", share * (1 - SHARE_TOLERANCE), "ratio", min(1.0, share * (1 + SHARE_TOLERANCE)))
    limits = target.limits.model_copy(update={"traffic_share": around})
    waivers = target.waivers
    if share >= 1:
        reason = say(
            "at {share} no baseline is left to compare with: the step before compared", share=quantity(share, "ratio")
        )
        owner = target.owner_of(COMPARISON)
        waivers = (
            *waivers,
            Waiver(check=COMPARISON, owner=owner, reason=reason, until=dt.datetime.now(dt.UTC).date()).model_copy(
                update={"reason": reason}  # a model keeps the English text only
            ),
        )
    return target.model_copy(update={"limits": limits, "waivers": waivers})


def rolled_back(target: Target) -> Target:
    """After a rollback, services report the previous version."""
    services = {
        name: service.model_copy(update={"version": service.previous_version or service.version})
        for name, service in target.services.items()
    }
    return target.model_copy(update={"services": services})


def moment_in(flag: str, text: str) -> dt.datetime:
    """Read the time given with `flag`. Raises TargetError, with the expected form, for anything else."""
    example = "2026-11-22T20:00:00+09:00"
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise TargetError(
            say("{flag} {text}: expected a time such as {example}", flag=flag, text=text, example=example)
        ) from error
    if moment.tzinfo is None:
        raise TargetError(
            say("{flag} {text}: has no time zone; expected such as {example}", flag=flag, text=text, example=example)
        )
    return moment
