"""opsverify: the operation runbook, executed.

Public names are what a check file needs. They are loaded on first use, so that the command line and the plugin
start without them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsverify.attestation import read_attestation
    from opsverify.cached import Cached, measure_cached_since, measure_rebuilt
    from opsverify.came_back import Consistency, catalog_kinds, recorded_tables
    from opsverify.canary import P95_SLOWER
    from opsverify.criteria import Criterion
    from opsverify.errors import CheckFailed, Inconclusive, Unreachable
    from opsverify.journeys import journeys_of
    from opsverify.limits import NONE, Limit, listed
    from opsverify.probes.waiting import eventually
    from opsverify.recovered import recorded_keys
    from opsverify.spec import per, runbook
    from opsverify.stages import CANARY, INCIDENTS, SERVING

__all__ = [
    "CANARY",
    "INCIDENTS",
    "NONE",
    "P95_SLOWER",
    "SERVING",
    "Cached",
    "CheckFailed",
    "Consistency",
    "Criterion",
    "Inconclusive",
    "Limit",
    "Unreachable",
    "catalog_kinds",
    "eventually",
    "journeys_of",
    "listed",
    "measure_cached_since",
    "measure_rebuilt",
    "per",
    "read_attestation",
    "recorded_keys",
    "recorded_tables",
    "runbook",
]

_HOMES = {
    "CANARY": "stages",
    "INCIDENTS": "stages",
    "SERVING": "stages",
    "CheckFailed": "errors",
    "Criterion": "criteria",
    "Inconclusive": "errors",
    "Unreachable": "errors",
    "Limit": "limits",
    "NONE": "limits",
    "journeys_of": "journeys",
    "listed": "limits",
    "Cached": "cached",
    "measure_cached_since": "cached",
    "measure_rebuilt": "cached",
    "P95_SLOWER": "canary",
    "eventually": "probes.waiting",
    "read_attestation": "attestation",
    "per": "spec",
    "Consistency": "came_back",
    "catalog_kinds": "came_back",
    "recorded_keys": "recovered",
    "recorded_tables": "came_back",
    "runbook": "spec",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'opsverify' has no attribute {name!r}")
    return getattr(importlib.import_module(f"opsverify.{_HOMES[name]}"), name)
