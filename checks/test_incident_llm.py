"""Runbook 3, LLM failure: fault seen, remedy in force, confirmed over a window, nothing left behind."""

from functools import partial

from opsverify import confirmations, per, runbook

NEEDS = ("prometheus", "postgres", "incident_llm")
INCIDENT = partial(runbook, stages=("incident-llm",), signals=("llm_calls",), needs=NEEDS)


@INCIDENT(
    "3-llm/verify",
    id="incident_llm.fault",
    severity="sev1",
    ko="LLM 장애: 조치 전 장애가 측정값에 보이는가",
    en="LLM failure: the fault is seen in the measurements before the remedy",
)
def test_fault(playbook):
    """Without a fault that was seen, a platform that is well proves nothing about a remedy."""
    playbook.measure_fault()


@INCIDENT(
    "3-llm/remedy",
    id="incident_llm.remedy",
    severity="sev1",
    ko="모델 스위치, RULE_ONLY 또는 rate limit이 실제로 적용되었는가",
    en="Model switch, RULE_ONLY or rate limit is in force",
)
def test_remedy(playbook):
    """What is configured, what answers carry and what is counted must agree."""
    playbook.measure_remedy()


@INCIDENT(
    "3-llm/verify",
    id="incident_llm.confirmed",
    severity="sev1",
    ko="LLM 장애 확인: 호출 로그, 비용/실패율, 판단 정확도",
    en="LLM failure confirmed: call log, cost, failure rate, accuracy",
)
@per("item", confirmations("llm"))
def test_confirmed(playbook, item):
    """Each item of the runbook's list holds over the whole window, not in one look."""
    playbook.confirm(item)


@INCIDENT(
    "3-llm/verify",
    id="incident_llm.left",
    severity="sev2",
    ko="다른 장애의 우회 설정이 남아 있지 않은가",
    en="No override of another incident is left behind",
)
def test_left(playbook):
    """An override that nobody remembers is the next incident."""
    playbook.measure_left()
