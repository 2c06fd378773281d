"""Runbook 6, slow database: fault seen, remedy in force, confirmed over a window, nothing left behind."""

from functools import partial

from opsverify import confirmations, per, runbook

NEEDS = ("prometheus", "postgres", "incident_db")
INCIDENT = partial(runbook, stages=("incident-db",), signals=("durations",), needs=NEEDS)


@INCIDENT(
    "6-db/verify",
    id="incident_db.fault",
    severity="sev1",
    ko="DB 성능 저하: 조치 전 장애가 측정값에 보이는가",
    en="Slow database: the fault is seen in the measurements before the remedy",
)
def test_fault(playbook):
    """Without a fault that was seen, a platform that is well proves nothing about a remedy."""
    playbook.measure_fault()


@INCIDENT(
    "6-db/remedy",
    id="incident_db.remedy",
    severity="sev1",
    ko="연결수 제한, 캐시 TTL 단축 또는 Pre-agg가 실제로 적용되었는가",
    en="Connection limit, cache TTL or pre-aggregates are in force",
)
def test_remedy(playbook):
    """What is configured, what answers carry and what is counted must agree."""
    playbook.measure_remedy()


@INCIDENT(
    "6-db/verify",
    id="incident_db.confirmed",
    severity="sev1",
    ko="DB 성능 저하 확인: DB 부하, API 응답시간",
    en="Slow database confirmed: database load, API answer times",
)
@per("item", confirmations("db"))
def test_confirmed(playbook, item):
    """Each item of the runbook's list holds over the whole window, not in one look."""
    playbook.confirm(item)


@INCIDENT(
    "6-db/verify",
    id="incident_db.left",
    severity="sev2",
    ko="다른 장애의 우회 설정이 남아 있지 않은가",
    en="No override of another incident is left behind",
)
def test_left(playbook):
    """An override that nobody remembers is the next incident."""
    playbook.measure_left()
