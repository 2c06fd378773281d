"""Runbook 6, false alarms: fault seen, remedy in force, confirmed over a window, nothing left behind."""

from functools import partial

from opsverify import confirmations, per, runbook

NEEDS = ("prometheus", "postgres", "incident_rule")
INCIDENT = partial(runbook, stages=("incident-rule",), needs=NEEDS)


@INCIDENT(
    "6-rule/verify",
    id="incident_rule.fault",
    severity="sev1",
    ko="오경보 급증: 조치 전 장애가 측정값에 보이는가",
    en="False alarms: the fault is seen in the measurements before the remedy",
)
def test_fault(playbook):
    """Without a fault that was seen, a platform that is well proves nothing about a remedy."""
    playbook.measure_fault()


@INCIDENT(
    "6-rule/remedy",
    id="incident_rule.remedy",
    severity="sev1",
    ko="직전 룰 버전이 모든 인스턴스에 적용되고, 영향 구간이 Replay되고, Learning 후보가 보류되었는가",
    en="The previous rule version is active everywhere, the range is replayed, candidates are held",
)
def test_remedy(playbook):
    """What is configured, what answers carry and what is counted must agree."""
    playbook.measure_remedy()
    playbook.measure_replay()


@INCIDENT(
    "6-rule/verify",
    id="incident_rule.confirmed",
    severity="sev1",
    ko="오경보 급증 확인: 경보 카운트, 피드백, 품질 지표",
    en="False alarms confirmed: alarm count, feedback, quality",
)
@per("item", confirmations("rule"))
def test_confirmed(playbook, item):
    """Each item of the runbook's list holds over the whole window, not in one look."""
    playbook.confirm(item)


@INCIDENT(
    "6-rule/verify",
    id="incident_rule.left",
    severity="sev2",
    ko="다른 장애의 우회 설정이 남아 있지 않은가",
    en="No override of another incident is left behind",
)
def test_left(playbook):
    """An override that nobody remembers is the next incident."""
    playbook.measure_left()
