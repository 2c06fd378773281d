"""Described regions of a target: what every plan asks of them, apart from what compares them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.config.model import Target
    from opsverify.config.regions import Regions, RegionTable


def require_regions(target: Target) -> Regions:
    """The target's regions. Raises Inconclusive where the target has none and does not declare them absent."""
    if target.regions is None:
        raise Inconclusive(
            say(
                'missing [regions] in the target; describe both regions, or add "regions" to absent if '
                "there is only one"
            )
        )
    return target.regions


def resolvers(target: Target) -> Sequence[str]:
    """The name servers to query; raises Inconclusive as `require_regions`."""
    return require_regions(target).resolvers if target.has("regions") else ()


def core_tables(target: Target) -> Sequence[RegionTable]:
    """The tables that must be the same in both regions; raises as `require_regions`, or where there are none."""
    if not target.has("regions"):
        return ()
    tables = require_regions(target).tables
    if not tables:
        raise Inconclusive(say("missing [[regions.tables]] in the target; name the core tables (name, key, changed)"))
    return tables


def dr_is_standby(target: Target) -> bool:
    """Whether the DR region is kept as a standby; also without regions, which the check then reports."""
    return target.regions is None or target.regions.switchback == "dr_as_standby"


def elapsed_s(since: dt.datetime) -> float:
    """Seconds from `since` until now."""
    return (dt.datetime.now(dt.UTC) - since).total_seconds()
