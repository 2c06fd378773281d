"""Public names of opsverify: what a check file needs."""

from opsverify.canary.criterion import P95_SLOWER, Criterion
from opsverify.core.attestation import read_attestation
from opsverify.core.stages import CANARY, INCIDENTS, SERVING
from opsverify.errors import CheckFailed, Inconclusive, Unreachable
from opsverify.limits import NONE, Limit
from opsverify.metrics.cache_age import Cached, measure_cached_since, measure_rebuilt
from opsverify.probes.eventually import eventually
from opsverify.pytest_plugin.decorators import per, runbook
from opsverify.recovery.verify.rows import Consistency, catalog_kinds, recorded_keys, recorded_tables
from opsverify.smoke.journeys import journeys_of
from opsverify.units import listed

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
