"""Runbook 6, cache failure: fault seen, remedy in force, confirmed over a window, nothing left behind."""

from functools import partial

from opsverify import confirmations, per, runbook

NEEDS = ("prometheus", "postgres", "incident_cache")
INCIDENT = partial(runbook, stages=("incident-cache",), signals=("cache_lookups",), needs=NEEDS)


@INCIDENT(
    "6-cache/verify",
    id="incident_cache.fault",
    severity="sev1",
    ko="캐시 장애: 조치 전 장애가 측정값에 보이는가",
    en="Cache failure: the fault is seen in the measurements before the remedy",
)
def test_fault(playbook):
    """Without a fault that was seen, a platform that is well proves nothing about a remedy."""
    playbook.measure_fault()


@INCIDENT(
    "6-cache/verify",
    id="incident_cache.remedy",
    severity="sev1",
    ko="캐시 없이 degrade되었거나 캐시가 복구되었는가",
    en="The platform runs without its cache, or has it again",
)
def test_remedy(playbook):
    """What is configured, what answers carry and what is counted must agree."""
    playbook.measure_remedy()


@INCIDENT(
    "6-cache/verify",
    id="incident_cache.confirmed",
    severity="sev1",
    ko="캐시 장애 확인: hit/miss, latency, 연결 오류",
    en="Cache failure confirmed: hits and misses, latency, connection errors",
)
@per("item", confirmations("cache"))
def test_confirmed(playbook, item):
    """Each item of the runbook's list holds over the whole window, not in one look."""
    playbook.confirm(item)


@INCIDENT(
    "6-cache/verify",
    id="incident_cache.left",
    severity="sev2",
    ko="다른 장애의 우회 설정이 남아 있지 않은가",
    en="No override of another incident is left behind",
)
def test_left(playbook):
    """An override that nobody remembers is the next incident."""
    playbook.measure_left()
