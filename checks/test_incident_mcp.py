"""Runbook 3, MCP failure: fault seen, remedy in force, confirmed over a window, nothing left behind."""

from functools import partial

from opsverify import confirmations, eventually, listed, per, runbook, say

NEEDS = ("prometheus", "postgres", "incident_mcp")
EVERY_S = 2.0
INCIDENT = partial(runbook, stages=("incident-mcp",), signals=("mcp_calls",), needs=NEEDS)


@INCIDENT(
    "3-mcp/verify",
    id="incident_mcp.fault",
    severity="sev1",
    ko="MCP/커넥터 장애: 조치 전 장애가 측정값에 보이는가",
    en="MCP failure: the fault is seen in the measurements before the remedy",
)
def test_fault(playbook):
    """Without a fault that was seen, a platform that is well proves nothing about a remedy."""
    playbook.measure_fault()


@INCIDENT(
    "3-mcp/remedy",
    id="incident_mcp.remedy",
    severity="sev1",
    ko="회로차단, 대체 노드 또는 수동 업로드가 실제로 적용되었는가",
    en="Breaker, other node or manual upload is in force",
)
def test_remedy(playbook):
    """What is configured, what answers carry and what is counted must agree."""
    playbook.measure_remedy()


@INCIDENT(
    "3-mcp/verify",
    id="incident_mcp.alerts",
    needs=(*NEEDS, "alertmanager"),
    severity="sev1",
    ko="장애 알람이 해소되었는가",
    en="The alerts of the incident have ended",
)
def test_alerts(check, playbook, alertmanager):
    """An alert that stays has another cause, or the remedy does not hold."""
    playbook.require_fault()
    firing = eventually(
        lambda: [alert.name for alert in alertmanager.firing(check.target.alertmanager.ignore)],
        lambda names: not names,
        deadline_s=check.limits.alerts_end.bound,
        every_s=EVERY_S,
        what=say("the alerts to end"),
    )
    names = list(dict.fromkeys(firing))
    check.measure(say("alerts"), len(firing), check.limits.firing_alerts, of=listed(say("alerts firing"), names))


@INCIDENT(
    "3-mcp/verify",
    id="incident_mcp.confirmed",
    severity="sev1",
    ko="MCP/커넥터 장애 확인: call 에러율, 워크플로우 실패 로그",
    en="MCP failure confirmed: call error rate, workflow failures",
)
@per("item", confirmations("mcp"))
def test_confirmed(playbook, item):
    """Each item of the runbook's list holds over the whole window, not in one look."""
    playbook.confirm(item)


@INCIDENT(
    "3-mcp/verify",
    id="incident_mcp.left",
    severity="sev2",
    ko="다른 장애의 우회 설정이 남아 있지 않은가",
    en="No override of another incident is left behind",
)
def test_left(playbook):
    """An override that nobody remembers is the next incident."""
    playbook.measure_left()
