"""Runbook 5, sample SQL after DR: the data of before the disaster is back, counted against the ledger.

The windows are anchored to the recovery target, not to now(): a count of "the last day" that is taken hours
later would miss what it looks for. The queries are in `sql/`.
"""

from opsverify import per, recorded_keys, runbook

AFTER_DR = {"stages": ("post-dr", "rehearsal"), "needs": ("postgres", "recovery"), "severity": "sev1"}


@runbook(
    "5-sql/judgments",
    "5-5/consistency",
    id="sql.judgment_executions",
    ko="판단 로그 최근 1일 건수가 복구 전 기록과 같은가",
    en="The judgment log of the last day is back",
    **AFTER_DR,
)
def test_judgment_executions(check, recorded_data):
    """In steps of ten minutes: a restore that lost some of them still counts up nicely over the day."""
    recorded_data.compare(check, "judgment_executions")


@runbook(
    "5-sql/workflows",
    "5-5/consistency",
    id="sql.workflow_instances",
    ko="WF 인스턴스 상태 분포가 복구 전 기록과 맞는가",
    en="The workflow instances are back, by status",
    **AFTER_DR,
)
@per("status", recorded_keys("workflow_instances"))
def test_workflow_instances(check, recorded_data, status):
    """All that started are there, and an ended workflow stays ended."""
    recorded_data.compare(check, "workflow_instances", status)


@runbook(
    "5-sql/fact",
    "5-5/consistency",
    id="sql.fact_daily_production",
    ko="핵심 fact가 라인·날짜별로 복구 전 기록과 같은가",
    en="The core facts are whole, per line and date",
    **AFTER_DR,
)
@per("date_and_line", recorded_keys("fact_daily_production"))
def test_fact_daily_production(check, recorded_data, date_and_line):
    """Rows and sums per date and line equal what the ledger recorded."""
    recorded_data.compare(check, "fact_daily_production", date_and_line)
